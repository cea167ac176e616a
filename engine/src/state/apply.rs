//! Taking records in: a fold that gives one state, whatever the order and the repetitions.

use super::State;
use crate::exemptions::Grant;
use crate::flags::{Overridden, Pass, Raise, RaiseRef};
use crate::indicators::{Contest, Receipt};
use crate::version::Version;
use sparr_protocol::codes::Role;
use sparr_protocol::exemption::ExemptionId;
use sparr_protocol::indicator::{Content, ContentDigest};
use sparr_protocol::record::{Payload, Record, RecordDigest};
use std::sync::atomic::Ordering;

/// A record that cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It must be understood and is not: going on without it could leave somebody unprotected.
    #[error("record of kind {kind} must be understood, and this version does not know it")]
    NotUnderstood {
        /// The kind's number.
        kind: u8,
    },
}

impl State {
    /// Takes in a record, from whatever origin and in whatever order: the result is the same.
    ///
    /// Signatures and rights were checked when the record came in. What follows from a record by itself is checked
    /// here again: nobody drafts or shares in another member's name, and content is known by its own digest alone.
    pub fn apply(&self, record: &Record, digest: RecordDigest) -> Result<(), ApplyError> {
        let version = Version::of(record);
        let member = record.actor.member;
        let stores = &self.stores;
        match &record.payload {
            Payload::FlagRaised { subject, terms, .. } => {
                stores.flags.raise(*subject, member, Raise { version, terms: *terms });
            }
            Payload::FlagLifted { subject, effective_from, .. } => {
                stores.flags.lift(*subject, member, version, *effective_from);
            }
            Payload::PassGranted { subject, merchant, amount_minor, currency, until, .. } => {
                let pass = Pass {
                    registrar: member,
                    version,
                    merchant: *merchant,
                    amount_minor: *amount_minor,
                    currency: *currency,
                    until: *until,
                };
                stores.flags.passes.grant(*subject, pass);
            }
            Payload::SubjectLinked { old, new, linked, .. } => {
                stores.flags.links.link(*old, *new, member, version, *linked);
            }
            Payload::FlagLiftRequested { subject, registrar, raise, .. } => {
                let about = RaiseRef { subject: *subject, registrar: *registrar, raise: *raise };
                stores.flags.votes.request(about, member);
            }
            Payload::FlagOverridden { subject, registrar, raise, .. } => {
                let raise = RaiseRef { subject: *subject, registrar: *registrar, raise: *raise };
                let about = Overridden::Raise(raise);
                if record.actor.role == Role::Centre
                    && let Some(lifted) = stores.flags.votes.overridden(about, &record.actor, version)
                {
                    stores.flags.lift(*subject, *registrar, lifted, lifted.time());
                }
            }
            Payload::IndicatorDrafted { content } => {
                let own = content.registrar == member && content.draft == record.operation;
                if let Some(digest) = self.content_digest(content).filter(|_| own) {
                    stores.indicators.draft(digest, content);
                }
            }
            Payload::IndicatorReported { digest } => stores.indicators.report(*digest),
            Payload::PoliceReceipt { digest: content, received_at, signature, reference } => {
                let receipt = Receipt {
                    record: digest,
                    by: record.actor.clone(),
                    is_signed: record.actor.role == Role::Police && *signature != [0; 64],
                    reference: reference.clone(),
                    received_at: *received_at,
                    version,
                };
                stores.indicators.receipt(*content, receipt);
            }
            Payload::IndicatorShared { content, receipt } => {
                let own = content.registrar == member && !content.kind.is_local();
                if let Some(digest) = self.content_digest(content).filter(|_| own) {
                    stores.indicators.share(digest, content, version, *receipt);
                }
            }
            Payload::IndicatorConfirmed { digest, .. } => stores.indicators.confirm(*digest, member, version),
            Payload::IndicatorContested { digest, due, .. } => {
                stores.indicators.contest(*digest, Contest { by: member, version, due: *due });
            }
            Payload::IndicatorWithdrawn { digest, .. } => stores.indicators.withdraw(*digest, member),
            Payload::IndicatorOverridden { digest, registrar, .. } => {
                let about = Overridden::Indicator(*digest, *registrar);
                if record.actor.role == Role::Centre
                    && stores.flags.votes.overridden(about, &record.actor, version).is_some()
                {
                    stores.indicators.withdraw(*digest, *registrar);
                }
            }
            Payload::MemberAdmitted { member, kind, key } => {
                self.members.admit(*member, version, *kind, *key)
            }
            Payload::MemberSuspended { member, .. } => self.members.suspend(*member, version),
            Payload::SigningKeyRotated { member, key } => self.members.rotate(*member, version, *key),
            Payload::ExemptionGranted { key, value, rules, until, why, .. } => {
                let grant = Grant {
                    version,
                    by: record.actor.clone(),
                    key: *key,
                    value: *value,
                    rules: rules.clone(),
                    until: *until,
                    why: why.clone(),
                };
                self.exemptions.grant(member, ExemptionId(record.operation.0), grant);
            }
            Payload::ExemptionConfirmed { id } => self.exemptions.confirm(*id, &record.actor),
            Payload::ExemptionEnded { id } => self.exemptions.end(member, *id),
            Payload::Unknown { kind, must_understand: true, .. } => {
                return Err(ApplyError::NotUnderstood { kind: *kind });
            }
            Payload::Unknown { must_understand: false, .. } => {}
        }
        self.applied.fetch_add(1, Ordering::Release);
        // While the journal is read at a start, there are no recent requests.
        if self.is_ready() {
            self.touched.note(record, self);
        }
        Ok(())
    }

    /// The keyed digest by which content is known. `None` under a network key that this engine does not hold: no
    /// value could meet it either.
    pub fn content_digest(&self, content: &Content) -> Option<ContentDigest> {
        let mut bytes = Vec::new();
        content.encode(&mut bytes);
        self.keyring.content_digest(content.key_id, &bytes).map(ContentDigest)
    }

    /// A digest of everything that records have brought about: equal wherever the same records are known.
    pub fn exchange_digest(&self, now: sparr_protocol::time::Timestamp) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        // Every part is in its own order; the text form names every field.
        let mut add = |part: String| {
            hasher.update(part.as_bytes());
        };
        self.stores.flags.for_each(|subject, flag| add(format!("{:?}{flag:?}", subject.0)));
        for (subject, pass) in self.stores.flags.passes.all(now) {
            add(format!("{:?}{pass:?}", subject.0));
        }
        for (number, link) in self.stores.flags.links.all() {
            add(format!("{:?}{link:?}{:?}", number.0, link.other.0));
        }
        add(format!(
            "{:?}{:?}",
            self.stores.flags.votes.all_requests(),
            self.stores.flags.votes.all_overrides()
        ));
        for indicator in self.stores.indicators.all() {
            add(format!("{indicator:?}"));
        }
        self.exemptions.all().into_iter().for_each(&mut add);
        add(format!("{:?}", self.members.records()));
        *hasher.finalize().as_bytes()
    }
}
