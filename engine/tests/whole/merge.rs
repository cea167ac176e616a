//! Order-free merge: whatever order records come in, and however often each, they give one state.

use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::journal::Chain;
use sparr_engine::policy::{Policy, Required, StaleAfter};
use sparr_engine::request::{Keyring, NetworkKey};
use sparr_engine::state::{EngineClock, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, Wish};
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, RuleNames};
use sparr_protocol::flag::{MerchantRef, Methods, Scope, Terms};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::indicator::{ClassName, Content, ContentDigest, Grade, IndicatorKind};
use sparr_protocol::member::MemberKind;
use sparr_protocol::money::Currency;
use sparr_protocol::record::{Origin, Payload, Record, RecordDigest, RecordRef};
use sparr_protocol::time::Timestamp;
use std::collections::HashSet;

const RECORDS: usize = 10_000;
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_348_800_000);

pub(crate) fn member(name: &str) -> MemberName {
    MemberName::parse(name).expect("legal")
}

pub(crate) fn state() -> State {
    State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: NOW },
        member: member("bank-1"),
        engine: 1,
        epoch: 1,
        velocity_keys_max: 10,
        ids_kept_max: 10,
    })
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Records of every kind by four members, over few people and few indicators, so that they meet.
pub(crate) fn history(seed: u64) -> Vec<(Record, RecordDigest)> {
    let keys = state();
    let mut random = Random(seed);
    let members = ["bank-1", "bank-2", "police", "centre"].map(member);
    let mut chains = members.map(|member| Chain::new(Origin { member, engine: 1, epoch: 1 }, [0; 32], 0));
    let mut exemptions = Vec::<(usize, ExemptionId)>::new();
    let (mut history, mut raises, mut contents, mut receipts) = (
        Vec::<(Record, RecordDigest)>::new(),
        vec![RecordRef { origin: Origin { member: members[0], engine: 1, epoch: 9 }, sequence: 1 }],
        Vec::<Content>::new(),
        Vec::<(ContentDigest, RecordDigest)>::new(),
    );
    for number in 0..RECORDS {
        let mut who = random.below(4);
        let registrar = members[random.below(4)];
        let subject = Pseudonym([random.below(40) as u8; 16]);
        let other = Pseudonym([random.below(40) as u8; 16]);
        let raise = raises[random.below(raises.len())];
        let content = contents.get(random.below(contents.len().max(1))).cloned();
        let digest = content.as_ref().and_then(|content| keys.content_digest(content));
        let until = Timestamp::from_ms(NOW.ms() + random.below(1_000_000) as i64);
        let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
        let mut operation = [0; 16];
        operation[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        let payload = match (random.below(18), digest, content) {
            (0 | 1, ..) => Payload::FlagRaised {
                subject,
                key_id: 1,
                terms: Terms {
                    wish: if random.below(2) == 0 { Wish::Deny } else { Wish::Verify },
                    scope: Scope::Any,
                    reason: FlagReason::Scam,
                    requested_by,
                    authenticated_by,
                    compromised: Methods::default(),
                    valid_until: until,
                },
            },
            (2, ..) => Payload::FlagLifted {
                subject,
                key_id: 1,
                raise,
                requested_by,
                authenticated_by,
                second_channel: true,
                effective_from: until,
            },
            (3, ..) => Payload::PassGranted {
                subject,
                key_id: 1,
                merchant: MerchantRef::OwnId(other),
                amount_minor: 1_000,
                currency: Currency::SEK,
                until,
                requested_by,
                authenticated_by,
            },
            (4, ..) => {
                let linked = random.below(3) > 0;
                Payload::SubjectLinked {
                    old: subject,
                    new: other,
                    key_id: 1,
                    linked,
                    requested_by,
                    authenticated_by,
                }
            }
            (5, ..) => Payload::FlagLiftRequested {
                subject,
                key_id: 1,
                registrar,
                raise,
                requested_by,
                authenticated_by,
            },
            (6, ..) => Payload::FlagOverridden { subject, key_id: 1, registrar, raise },
            (7, Some(digest), _) => Payload::IndicatorReported { digest },
            (8, Some(digest), _) => Payload::PoliceReceipt {
                digest,
                received_at: NOW,
                signature: [u8::from(who == 2); 64],
                reference: format!("K{}", random.below(3)),
            },
            (9, Some(digest), Some(content)) => {
                // Mostly by its registrar, and under a receipt that is about it, where there is one.
                if random.below(5) > 0 {
                    who = members.iter().position(|member| *member == content.registrar).unwrap_or(who);
                }
                let about: Vec<_> = receipts.iter().filter(|(about, _)| *about == digest).collect();
                let receipt =
                    about.get(random.below(about.len().max(1))).map_or([0; 32], |(_, receipt)| *receipt);
                Payload::IndicatorShared { content, receipt }
            }
            (10, Some(digest), _) => Payload::IndicatorConfirmed { digest, evidence: [3; 32] },
            (11, Some(digest), _) => Payload::IndicatorContested { digest, due: until, why: "x".to_owned() },
            (12, Some(digest), _) if random.below(10) == 0 => {
                Payload::IndicatorWithdrawn { digest, why: "x".to_owned() }
            }
            // Two of three persons are soon found; mostly about the member whose indicator it is.
            (12, Some(digest), Some(content)) if random.below(6) == 0 => {
                who = 3;
                let registrar = if random.below(4) > 0 { content.registrar } else { registrar };
                Payload::IndicatorOverridden { digest, registrar, why: "x".to_owned() }
            }
            (13, ..) => {
                Payload::MemberAdmitted { member: registrar, kind: MemberKind::Bank, key: [who as u8; 32] }
            }
            (14, ..) => Payload::MemberSuspended { member: registrar, why: "x".to_owned() },
            (15, ..) => Payload::SigningKeyRotated { member: registrar, key: [number as u8; 32] },
            (16, ..) => {
                exemptions.push((who, ExemptionId(operation)));
                Payload::ExemptionGranted {
                    key: ExemptionKey::Subject,
                    value: subject,
                    key_id: 1,
                    rules: RuleNames::parse("a,b").expect("legal"),
                    until,
                    why: "x".to_owned(),
                }
            }
            (17, ..) if !exemptions.is_empty() => {
                // Mostly by its own member.
                let (granted_by, id) = exemptions[random.below(exemptions.len())];
                who = if random.below(4) > 0 { granted_by } else { who };
                let ends = random.below(4) == 0;
                if ends { Payload::ExemptionEnded { id } } else { Payload::ExemptionConfirmed { id } }
            }
            _ => {
                let content = Content {
                    registrar: members[who],
                    draft: RequestId(operation),
                    kind: IndicatorKind::Email,
                    role: None,
                    grade: Grade::Observed,
                    class: ClassName::parse("x").expect("legal"),
                    key_id: 1,
                    value: other,
                    clear: String::new(),
                    drafted_at: NOW,
                    valid_until: until,
                };
                contents.push(content.clone());
                Payload::IndicatorDrafted { content }
            }
        };
        let role = [Role::Desk, Role::Analyst, Role::Police, Role::Centre][who];
        let actor = Actor::new(members[who], role, &format!("person-{}", random.below(3))).expect("legal");
        let clock = Timestamp::from_ms(NOW.ms() - random.below(10_000) as i64);
        let sealed = chains[who].append(clock, actor, RequestId(operation), "", payload);
        match sealed.record.payload {
            Payload::FlagRaised { .. } => raises.push(sealed.record.place()),
            Payload::PoliceReceipt { digest, .. } => receipts.push((digest, sealed.digest)),
            _ => {}
        }
        history.push((sealed.record, sealed.digest));
    }
    history
}

pub(crate) fn fold(records: impl Iterator<Item = (Record, RecordDigest)>) -> ([u8; 32], usize) {
    let state = state();
    records.for_each(|(record, digest)| state.apply(&record, digest).expect("understood"));
    let shared = state.stores.indicators.size(member("bank-1"), NOW).shared;
    (state.exchange_digest(NOW), shared)
}

#[test]
fn ten_thousand_records_in_any_order_and_any_number_of_times_give_one_digest() {
    let seed = std::env::var("SPARR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    let history = history(seed);
    let kinds: HashSet<u8> = history.iter().map(|(record, _)| record.payload.kind()).collect();
    assert_eq!(kinds.len(), 20, "every kind that is laid out");
    let (expected, shared) = fold(history.iter().cloned());
    assert!(shared > 10, "only {shared} indicators came to be shared");
    for round in 0..6 {
        let mut random = Random(seed + round + 1);
        let mut shuffled = history.clone();
        // A third of them come twice.
        let again: Vec<_> = history.iter().filter(|_| random.below(3) == 0).cloned().collect();
        shuffled.extend(again);
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, random.below(at + 1));
        }
        assert_eq!(fold(shuffled.into_iter()).0, expected, "round {round}; replay with SPARR_SEED={seed}");
    }
    assert_eq!(fold(history.iter().rev().cloned()).0, expected, "backwards");
}

/// The negative control: the digest sees a single record that is missing or says something else.
#[test]
fn the_digest_sees_every_record_that_matters() {
    let history = history(7);
    let (whole, _) = fold(history.iter().cloned());
    // The last raise of somebody by a member is in force, whatever came before it.
    let last = history.iter().rposition(|(record, _)| matches!(record.payload, Payload::FlagRaised { .. }));
    let last = last.expect("a raise");
    let without = history.iter().enumerate().filter(|(at, _)| *at != last).map(|(_, one)| one.clone());
    assert_ne!(fold(without).0, whole);
    let mut changed = history.clone();
    if let Payload::FlagRaised { terms, .. } = &mut changed[last].0.payload {
        terms.valid_until = Timestamp::from_ms(1);
    }
    assert_ne!(fold(changed.into_iter()).0, whole);
}
