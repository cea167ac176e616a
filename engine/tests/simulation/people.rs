//! What people do: raise and lift flags, share indicators, admit and suspend members, at any engine that is live.

use crate::authority::CENTRE;
use crate::ledger::Traced;
use crate::node::{BEGAN_MS, Job, Process, kind_of, member};
use crate::sim::{Event, Outcome, Sim};
use crate::writer::operation_id;
use sparr_protocol::codes::{AuthMethod, RequestedBy, Role};
use sparr_protocol::exemption::{ExemptionKey, RuleNames};
use sparr_protocol::flag::MerchantRef;
use sparr_protocol::ids::{Actor, MemberName, Pseudonym};
use sparr_protocol::indicator::{ClassName, Content, Grade, IndicatorKind};
use sparr_protocol::money::Currency;
use sparr_protocol::record::{Payload, RecordRef};
use sparr_protocol::testing::denied;
use sparr_protocol::time::Timestamp;

/// People whose flags the model follows.
pub(crate) const SUBJECTS: u8 = 12;
/// People whose flags the central organisation lifts.
const OVERRIDDEN: u8 = 100;

/// After everything.
pub(crate) fn far() -> Timestamp {
    Timestamp::from_ms(BEGAN_MS as i64 + 1_000_000_000)
}

type Said = (Actor, u64, Payload);

impl Sim {
    /// Somebody changes something at an engine that is live.
    pub(crate) fn work(&mut self) -> Outcome {
        if self.is_healed {
            return Ok(());
        }
        let next = self.time + self.random.between(1, self.plan.work_ms);
        self.push(next, Event::Work);
        let node = self.random.below(self.nodes.len() as u64) as usize;
        if self.nodes[node].paused_until > self.time || self.nodes[node].process.is_none() {
            return Ok(());
        }
        if node == 0 && !self.plan.all_configured && self.random.chance(20) {
            return self.admit(false);
        }
        let may_act = self.nodes[node].process.as_ref().is_some_and(|process| {
            process.is_joined && process.state.members.acting_kind(self.nodes[node].of.member).is_some()
        });
        if !may_act {
            return Ok(());
        }
        let count = if self.random.chance(10) { 20 } else { self.random.between(1, 4) };
        let said: Vec<Said> = (0..count).filter_map(|_| self.say(node)).collect();
        self.commit(node, said)
    }

    /// Gives records to the journal of an engine.
    pub(crate) fn commit(&mut self, node: usize, said: Vec<Said>) -> Outcome {
        if said.is_empty() {
            return Ok(());
        }
        let wall = self.nodes[node].wall(self.time);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let (commit, records) = process.writer.commit(wall, said);
        for sealed in &records {
            self.ledger.made(sealed);
            if let Payload::PoliceReceipt { digest, .. } = sealed.record.payload {
                let about = self.ledger.indicators.iter_mut().filter(|traced| traced.digest == digest);
                about.for_each(|traced| traced.receipts.push(sealed.digest));
            }
        }
        self.queue(node, Job::Own { commit, records });
        self.drive(node)
    }

    fn say(&mut self, node: usize) -> Option<Said> {
        self.operations += 1;
        let operation = self.operations;
        let who = self.nodes[node].of.member;
        let process = self.nodes[node].process.as_ref()?;
        let random = &mut self.random;
        let subject = Pseudonym([random.below(u64::from(SUBJECTS)) as u8; 16]);
        let other = Pseudonym([50 + random.below(4) as u8; 16]);
        let overridden = Pseudonym([OVERRIDDEN + random.below(2) as u8; 16]);
        let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
        let is_centre = who.as_str() == CENTRE;
        let payload = match random.below(16) {
            0..=4 => raise(if random.chance(90) { subject } else { overridden }),
            5..=7 => Payload::FlagLifted {
                subject,
                key_id: 1,
                raise: raise_of(process, subject, who)?,
                requested_by,
                authenticated_by,
                second_channel: true,
                effective_from: Timestamp::from_ms(0),
            },
            8 => Payload::PassGranted {
                subject,
                key_id: 1,
                merchant: MerchantRef::OwnId(other),
                amount_minor: 1_000,
                currency: Currency::SEK,
                until: far(),
                requested_by,
                authenticated_by,
            },
            9 => {
                let linked = random.chance(60);
                let new = Pseudonym([60 + random.below(4) as u8; 16]);
                Payload::SubjectLinked { old: other, new, key_id: 1, linked, requested_by, authenticated_by }
            }
            10 => Payload::ExemptionGranted {
                key: ExemptionKey::Subject,
                value: subject,
                key_id: 1,
                rules: RuleNames::parse("a,b")?,
                until: far(),
                why: "x".to_owned(),
            },
            11 if is_centre => {
                let registrar = *random.pick(&["bank-1", "bank-2"]).map(|name| member(name)).as_ref()?;
                let raise = raise_of(process, overridden, registrar)?;
                Payload::FlagOverridden { subject: overridden, key_id: 1, registrar, raise }
            }
            11 => {
                let registrar = member("bank-1");
                let raise = raise_of(process, subject, registrar)?;
                Payload::FlagLiftRequested {
                    subject,
                    key_id: 1,
                    registrar,
                    raise,
                    requested_by,
                    authenticated_by,
                }
            }
            12 => Payload::Unknown { kind: 200, must_understand: false, bytes: vec![1, 2, 3] },
            _ => return self.say_of_indicator(node, operation),
        };
        let role = if is_centre { Role::Centre } else { Role::Desk };
        let actor = Actor::new(who, role, &format!("person-{}", self.random.below(3)))?;
        Some((actor, operation, payload))
    }

    fn say_of_indicator(&mut self, node: usize, operation: u64) -> Option<Said> {
        let who = self.nodes[node].of.member;
        let process = self.nodes[node].process.as_ref()?;
        let random = &mut self.random;
        let is_police = who.as_str() == "police";
        let actor = |role, number: u64| Actor::new(who, role, &format!("person-{number}"));
        if self.ledger.indicators.len() < 6 && !is_police && random.chance(40) {
            let content = Content {
                registrar: who,
                draft: operation_id(operation),
                kind: IndicatorKind::Email,
                role: None,
                grade: Grade::Observed,
                class: ClassName::parse("x")?,
                key_id: 1,
                value: Pseudonym([random.below(200) as u8; 16]),
                clear: String::new(),
                drafted_at: Timestamp::from_ms(BEGAN_MS as i64),
                valid_until: far(),
            };
            let digest = process.state.content_digest(&content)?;
            let (id, registrar) = (digest.id(), who);
            self.ledger.indicators.push(Traced {
                digest,
                id,
                registrar,
                content: content.clone(),
                receipts: Vec::new(),
            });
            return Some((actor(Role::Analyst, 0)?, operation, Payload::IndicatorDrafted { content }));
        }
        let traced = random.pick(&self.ledger.indicators)?;
        let digest = traced.digest;
        let known = process.state.stores.indicators.of(traced.id)?;
        let receipt = |signature| Payload::PoliceReceipt {
            digest,
            received_at: Timestamp::from_ms(BEGAN_MS as i64),
            signature: [signature; 64],
            reference: "K1".to_owned(),
        };
        if is_police {
            return Some((actor(Role::Police, 0)?, operation, receipt(1)));
        }
        if traced.registrar != who {
            let payload = match random.below(2) {
                0 => Payload::IndicatorConfirmed { digest, evidence: [3; 32] },
                _ => Payload::IndicatorContested { digest, due: far(), why: "x".to_owned() },
            };
            return Some((actor(Role::Analyst, 1)?, operation, payload));
        }
        let standing = known.receipts.iter().find(|receipt| known.attested_by(&receipt.record).is_some());
        let payload = match standing {
            Some(receipt) => {
                Payload::IndicatorShared { content: traced.content.clone(), receipt: receipt.record }
            }
            // Without a receipt, or under that of something else: nobody may see it by that.
            None if random.chance(20) => {
                let others = self.ledger.indicators.iter().filter(|other| other.digest != digest);
                let receipt = others.flat_map(|other| other.receipts.first()).next().copied();
                let receipt = receipt.unwrap_or([0; 32]);
                Payload::IndicatorShared { content: traced.content.clone(), receipt }
            }
            None => receipt(0),
        };
        Some((actor(Role::Analyst, random.below(2))?, operation, payload))
    }

    /// The central organisation admits members that it does not know, or that are suspended.
    pub(crate) fn admit(&mut self, the_suspended_too: bool) -> Outcome {
        let Some(process) = self.nodes[0].process.as_ref().filter(|process| process.is_joined) else {
            return Ok(());
        };
        let members = &process.state.members;
        let stays =
            |name: MemberName| self.nodes.iter().any(|node| node.of.member == name && !node.has_departed);
        let mut names: Vec<MemberName> = self.nodes.iter().map(|node| node.of.member).collect();
        names.sort();
        names.dedup();
        names.retain(|name| {
            let is_suspended = members.is_suspended(*name);
            // What a suspended member recorded late is taken in everywhere only once it is admitted again, gone or not.
            if is_suspended {
                the_suspended_too
            } else {
                stays(*name) && members.acting_kind(*name).is_none()
            }
        });
        let mut said = Vec::new();
        for name in names {
            self.operations += 1;
            let actor = Actor::new(member(CENTRE), Role::Centre, "person-0").expect("legal");
            let payload = Payload::MemberAdmitted { member: name, kind: kind_of(name), key: [0; 32] };
            said.push((actor, self.operations, payload));
        }
        self.commit(0, said)
    }
}

fn raise(subject: Pseudonym) -> Payload {
    Payload::FlagRaised { subject, key_id: 1, terms: denied(far()) }
}

/// The raise of a member that acts on a person, as an engine knows it.
fn raise_of(process: &Process, subject: Pseudonym, registrar: MemberName) -> Option<RecordRef> {
    let flag = process.state.stores.flags.of(subject, registrar)?;
    flag.active(Timestamp::from_ms(BEGAN_MS as i64))?;
    flag.raised.map(|raise| raise.version.place())
}
