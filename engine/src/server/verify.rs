//! Proof of a journal's whole history, from its files alone: chains, signatures, rights, and police first.
//!
//! Records are taken in the order of their stamps. Before each is applied it is asked what an engine would have asked:
//! who acted, whether their member might at that time, and whether what it relies on was there before it.

use super::config::{EngineConfig, Overrides};
use super::journal::{Store, StoreError, guarded};
use super::keys::{self, SigningKey};
use crate::decision::VerifyUnavailable;
use crate::indicators::Indicator;
use crate::journal::Sealed;
use crate::limits::{EVENT_EARLY_MS_MAX, EXEMPTION_MS_MAX, PASS_MS_MAX};
use crate::policy::{Policy, Required, StaleAfter};
use crate::rights::{self, Reach, Right, reach};
use crate::state::{EngineClock, State, StateConfig};
use crate::version::Version;
use sparr_protocol::codes::Role;
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::{Content, ContentDigest, receipt_signed_bytes};
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::{Commit, Origin, Payload, Record, RecordDigest, RecordRef};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// What a verification came to.
#[derive(Debug, Default)]
pub struct Findings {
    /// Records that were read.
    pub records: usize,
    /// Signed commits.
    pub commits: usize,
    /// Chains: engines in all of their lives.
    pub origins: usize,
    /// Indicators that act everywhere.
    pub indicators_shared: usize,
    /// Everything that does not hold, each with its place.
    pub findings: Vec<String>,
}

/// Verifies the journal of a data folder whose engine is stopped.
pub fn verify(data_dir: &Path, config: Option<&Path>) -> Result<Findings, String> {
    let file = data_dir.join("journal.redb");
    if !file.is_file() {
        return Err(format!("{}: there is no journal", file.display()));
    }
    let mut found = Findings::default();
    let mut records: Vec<Sealed> = Vec::new();
    let read = guarded(&file, || {
        let store = Store::open(&file)?;
        // A name that is nobody's: the chains of all are read alike.
        let nobody = MemberName::from_bytes(&[b'x'; 24]);
        if let Some(nobody) = nobody {
            store.replay(nobody, u16::MAX, |sealed| {
                records.push(sealed);
                Ok(())
            })?;
        }
        store.commits()
    });
    found.records = records.len();
    let commits = match read {
        Ok(commits) => commits,
        Err(StoreError::InUse) => {
            return Err(format!(
                "{}: in use by a running engine; stop it first, or verify a copy",
                file.display()
            ));
        }
        Err(error) => {
            found.findings.push(error.to_string());
            return Ok(found);
        }
    };
    found.commits = commits.len();
    found.origins = records.iter().map(|sealed| sealed.record.origin).collect::<HashSet<_>>().len();
    let state = state(data_dir, config, &records)?;
    let signing =
        SigningKey::from_file(&data_dir.join("keys").join("signing-1.key")).map_err(|e| e.to_string())?;
    check_commits(&commits, &records, &signing, state.member(), &mut found.findings);
    records.sort_by_key(|sealed| Version::of(&sealed.record));
    let mut history = History { state: &state, raises: HashMap::new() };
    for sealed in &records {
        if let Err(why) = history.check(&sealed.record) {
            found.findings.push(format!("{}: {why}", place(&sealed.record)));
        }
        if let Err(error) = state.apply(&sealed.record, sealed.digest) {
            found.findings.push(format!("{}: {error}", place(&sealed.record)));
        }
        if let Payload::FlagRaised { .. } = sealed.record.payload {
            history.raises.insert(sealed.record.place(), sealed.record.actor.member);
        }
    }
    let now = Timestamp::from_ms(0);
    found.indicators_shared = state.stores.indicators.size(state.member(), now).shared;
    Ok(found)
}

fn place(record: &Record) -> String {
    let Origin { member, engine, epoch } = record.origin;
    format!("record {} of {member}/{engine}, epoch {epoch}", record.sequence)
}

/// The state before the first record: what the configuration names.
fn state(data_dir: &Path, config: Option<&Path>, records: &[Sealed]) -> Result<State, String> {
    let development = data_dir.join("dev");
    let overrides = Overrides { dev: config.is_none(), ..Overrides::default() };
    if config.is_none() && !development.is_dir() {
        return Err(format!("{}: not a development engine's folder; give --config", data_dir.display()));
    }
    let config = EngineConfig::load(config, overrides).map_err(|error| error.to_string())?;
    // A development engine may have been given another name.
    let member = match records.first() {
        Some(first) if development.is_dir() => first.record.origin.member,
        Some(_) | None => config.member,
    };
    let keyring = keys::network_keys(&data_dir.join("keys"), false).map_err(|error| error.to_string())?;
    let state = State::new(StateConfig {
        keyring,
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Decline,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::event(),
        member,
        engine: config.engine,
        epoch: 0,
        velocity_keys_max: 1,
        ids_kept_max: 1,
    });
    state.members.configure(member, config.kind, [0; 32]);
    for other in config.members.iter().filter(|other| other.member != member) {
        let key_file = development.join(Role::Police.name()).join("signing-1.key");
        let key = match SigningKey::from_file(&key_file) {
            Ok(key) if other.kind == MemberKind::Police && other.key == [0; 32] => key.public_key(),
            Ok(_) | Err(_) => other.key,
        };
        state.members.configure(other.member, other.kind, key);
    }
    Ok(state)
}

/// Every record lies under a commit that is signed by its engine and names its chain's head.
fn check_commits(
    commits: &[Commit],
    records: &[Sealed],
    signing: &SigningKey,
    own: MemberName,
    findings: &mut Vec<String>,
) {
    let digests: HashMap<(Origin, u64), RecordDigest> = records
        .iter()
        .map(|sealed| ((sealed.record.origin, sealed.record.sequence), sealed.digest))
        .collect();
    let mut covered: BTreeMap<Origin, u64> = BTreeMap::new();
    for commit in commits {
        let Origin { member, engine, epoch } = commit.origin;
        let at = format!(
            "commit {}–{} of {member}/{engine}, epoch {epoch}",
            commit.first_sequence, commit.last_sequence
        );
        if member == own && !keys::verify(&signing.public_key(), &commit.signed_bytes(), &commit.signature) {
            findings.push(format!("{at}: the signature is not this engine's"));
        }
        if digests.get(&(commit.origin, commit.last_sequence)) != Some(&commit.head) {
            findings.push(format!("{at}: the chain's head is another"));
        }
        let before = covered.entry(commit.origin).or_default();
        if commit.first_sequence != *before + 1 {
            findings.push(format!("{at}: it does not follow the one before it"));
        }
        *before = commit.last_sequence;
    }
    for sealed in records {
        let Record { origin, sequence, .. } = &sealed.record;
        if covered.get(origin).is_none_or(|last| last < sequence) {
            findings.push(format!("{}: no signed commit covers it", place(&sealed.record)));
        }
    }
}

/// What was there before a record.
struct History<'s> {
    state: &'s State,
    raises: HashMap<RecordRef, MemberName>,
}

impl History<'_> {
    /// Whether a record might be made where it stands in history.
    fn check(&self, record: &Record) -> Result<(), String> {
        let Some(operation) = rights::used_by(&record.payload) else { return Ok(()) };
        let (actor, at) = (&record.actor, Version::of(record).time());
        let Some(kind) = self.state.members.acting_kind(actor.member) else {
            return Err(format!("{} was no member that could act", actor.member));
        };
        if reach(kind, actor.role, Right::Exchange(operation)) == Reach::Nobody {
            let (kind, role) = (kind.name(), actor.role.name());
            return Err(format!("a {role} of a {kind} has no right to {}", operation.name()));
        }
        match &record.payload {
            Payload::FlagLifted { raise, .. } if self.raises.get(raise) != Some(&actor.member) => {
                Err("it lifts a flag that this member did not raise before".to_owned())
            }
            Payload::FlagOverridden { raise, registrar, .. }
            | Payload::FlagLiftRequested { raise, registrar, .. }
                if self.raises.get(raise) != Some(registrar) =>
            {
                Err("it is about a flag that was not raised before".to_owned())
            }
            Payload::PassGranted { until, .. } if until.ms_since(at) > PASS_MS_MAX + EVENT_EARLY_MS_MAX => {
                Err("the pass is open for longer than a day".to_owned())
            }
            Payload::ExemptionGranted { until, .. }
                if until.ms_since(at) > EXEMPTION_MS_MAX + EVENT_EARLY_MS_MAX =>
            {
                Err("the exemption acts for longer than thirty days".to_owned())
            }
            Payload::ExemptionConfirmed { id } | Payload::ExemptionEnded { id } => {
                match self.state.exemptions.acting(actor.member, *id, at) {
                    None => Err("it is about an exemption that did not act then".to_owned()),
                    Some(grant) if matches!(record.payload, Payload::ExemptionConfirmed { .. }) => {
                        let alone = grant.by == *actor;
                        if alone {
                            Err("one person agreed with their own exemption".to_owned())
                        } else {
                            Ok(())
                        }
                    }
                    Some(_) => Ok(()),
                }
            }
            Payload::IndicatorDrafted { content } => {
                if content.registrar != actor.member || content.draft != record.operation {
                    return Err("it was drafted in another's name".to_owned());
                }
                self.content(content).map(|_| ())
            }
            Payload::IndicatorReported { digest } => self.own(digest, actor.member),
            Payload::IndicatorWithdrawn { digest, .. } => self.own(digest, actor.member),
            Payload::PoliceReceipt { digest, received_at, signature, reference } => {
                if actor.role != Role::Police {
                    return self.own(digest, actor.member);
                }
                let key = self.state.members.key_at(actor.member, Some(Version::of(record)));
                let signed = receipt_signed_bytes(digest, reference, *received_at);
                match key {
                    Some(key) if keys::verify(&key, &signed, signature) => Ok(()),
                    Some(_) | None => Err("the receipt does not bear the police's signature".to_owned()),
                }
            }
            Payload::IndicatorShared { content, receipt } => self.share(record, content, receipt),
            Payload::IndicatorOverridden { digest, registrar, .. } => self.own(digest, *registrar),
            Payload::IndicatorConfirmed { digest, .. } | Payload::IndicatorContested { digest, .. } => {
                match self.known(digest)?.shared_under() {
                    Some(_) => Ok(()),
                    None => Err("it is about an indicator that was not shared before".to_owned()),
                }
            }
            _ => Ok(()),
        }
    }

    fn content(&self, content: &Content) -> Result<ContentDigest, String> {
        let longest = content.kind.valid_days_max() * 86_400_000;
        if content.valid_until.ms_since(content.drafted_at) > longest {
            return Err("it is valid for longer than its kind may be".to_owned());
        }
        self.state
            .content_digest(content)
            .ok_or_else(|| format!("network key {} is not here", content.key_id))
    }

    fn known(&self, digest: &ContentDigest) -> Result<Indicator, String> {
        let known = self.state.stores.indicators.of(digest.id()).filter(|known| known.digest == *digest);
        known.ok_or_else(|| "it is about content that was not known before".to_owned())
    }

    fn own(&self, digest: &ContentDigest, member: MemberName) -> Result<(), String> {
        match self.known(digest)?.content {
            Some(content) if content.registrar == member => Ok(()),
            Some(_) | None => Err("it is about another member's indicator".to_owned()),
        }
    }

    /// Police first: the receipt that a share names was there before it, and is about this very content.
    fn share(&self, record: &Record, content: &Content, receipt: &RecordDigest) -> Result<(), String> {
        if content.registrar != record.actor.member {
            return Err("it was shared in another's name".to_owned());
        }
        if content.kind.is_local() {
            return Err("a value that means something at its own member alone was shared".to_owned());
        }
        if record.legal_basis.is_empty() {
            return Err("it was shared without a legal basis".to_owned());
        }
        let digest = self.content(content)?;
        match self.known(&digest).ok().and_then(|known| known.attested_by(receipt)) {
            Some(_) => Ok(()),
            None => Err("police first: no receipt of this very content was there before it".to_owned()),
        }
    }
}
