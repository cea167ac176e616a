//! A disk that fails, fills up or breaks the program under the journal: nothing is acknowledged that is not durable, and
//! the journal comes back by itself.

use crate::sim_disk::{Faults, SimDisk};
use crate::support::of_tier;
use arc_swap::ArcSwap;
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::metrics::{JournalState, Metrics};
use sparr_engine::policy::{Policy, Required, Sharing, StaleAfter};
use sparr_engine::request::{Keyring, LivePseudonyms, NetworkKey, ValueKind};
use sparr_engine::server::journal::{self, By, Intent, JournalFolder, JournalHandle, Store};
use sparr_engine::server::keys::SigningKey;
use sparr_engine::state::{EngineClock, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, RequestedBy, Role};
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::Origin;
use sparr_protocol::testing::{denied, skipped};
use sparr_protocol::time::Timestamp;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

fn member() -> MemberName {
    MemberName::parse("bank-1").expect("legal")
}

/// A journal's thread on some disk, and the state that it fills.
pub(crate) struct Journal {
    handle: Option<JournalHandle>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub(crate) state: Arc<State>,
    metrics: Arc<Metrics>,
    _keys: tempfile::TempDir,
}

impl Journal {
    pub(crate) fn start(store: Store) -> Self {
        let keys = tempfile::tempdir().expect("folder");
        let clock = Timestamp::from_ms(1_700_000_000_000);
        let epoch = store.begin_epoch((member(), 1), clock, 0).expect("a new epoch");
        let state = Arc::new(State::new(StateConfig {
            keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
            policy: Policy {
                required: Required::default(),
                verify_unavailable: VerifyUnavailable::Hold,
                cooling_off_ms: 0,
                stale_after: StaleAfter::default(),
            },
            clock: EngineClock::Wall { began: Timestamp::from_ms(0) },
            member: member(),
            engine: 1,
            epoch,
            velocity_keys_max: 10,
            ids_kept_max: 10,
        }));
        state.members.configure(member(), MemberKind::Bank, [0; 32]);
        let metrics = Arc::new(Metrics::default());
        let folder = JournalFolder { data_dir: keys.path(), snapshot_records: 5 };
        let origin = Origin { member: member(), engine: 1, epoch };
        let opened = journal::open(store, folder, origin, &state, &metrics).expect("readable");
        let key = SigningKey::load(keys.path()).expect("a key");
        let sharing = Arc::new(ArcSwap::from_pointee(Sharing::default()));
        let (handle, thread) =
            journal::start(opened, key, sharing, state.clone(), metrics.clone(), None).expect("a thread");
        Self { handle: Some(handle), thread: Some(thread), state, metrics, _keys: keys }
    }

    pub(crate) fn running(&self) -> &JournalHandle {
        self.handle.as_ref().expect("running")
    }

    pub(crate) fn subject(&self, person: u64) -> LivePseudonyms {
        self.state.keyring.live(ValueKind::Subject, &person.to_le_bytes())
    }

    fn raise(&self, person: u64) -> Intent {
        let terms = denied(Timestamp::from_ms(1_900_000_000_000));
        Intent::Raise { subject: self.subject(person), terms }
    }

    fn lift(&self, person: u64) -> Intent {
        let by = By { requested_by: RequestedBy::Person, authenticated_by: AuthMethod::BankId };
        Intent::Lift { subject: self.subject(person), by, second_channel: true }
    }

    /// Hands in changes together and waits for what became of each, in order.
    fn ask(&self, intents: Vec<(u64, Intent)>) -> Vec<Said> {
        let (said, heard) = mpsc::channel();
        let wanted = intents.len();
        for (at, (operation, intent)) in intents.into_iter().enumerate() {
            let said = said.clone();
            let reply = Box::new(move |answer| said.send((at, answer)).expect("somebody listens"));
            let mut id = [0; 16];
            id[..8].copy_from_slice(&operation.to_le_bytes());
            let actor = Actor::new(member(), Role::Desk, "anna").expect("legal");
            self.running().submit(actor, RequestId(id), intent, reply);
        }
        let mut answers: Vec<(usize, Said)> = (0..wanted)
            .map(|_| heard.recv_timeout(Duration::from_secs(60)).expect("every change is answered"))
            .collect();
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, said)| said).collect()
    }

    fn one(&self, operation: u64, intent: Intent) -> Said {
        self.ask(vec![(operation, intent)]).remove(0)
    }

    /// Raises until one is durable again: the same operation under the same id, as a desk would.
    fn raise_when_well(&self, person: u64) {
        for _ in 0..1_500 {
            match self.one(person, self.raise(person)) {
                Said::Durable { .. } => return,
                Said::Refused(Refusal::JournalFailed | Refusal::LogFull) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("the journal does not come back");
    }

    pub(crate) fn is_flagged(&self, person: u64) -> bool {
        is_flagged(&self.state, self.subject(person))
    }

    pub(crate) fn stop(mut self) {
        drop(self.handle.take());
        self.thread.take().expect("running").join().expect("it ends in order");
    }
}

fn is_flagged(state: &State, subject: LivePseudonyms) -> bool {
    let mut active = false;
    for (_, number) in subject.iter() {
        state.stores.flags.visit_person(number, |_, flag| {
            active |= flag.active(Timestamp::from_ms(1_800_000_000_000)).is_some();
        });
    }
    active
}

fn durable(said: &Said) -> bool {
    matches!(said, Said::Durable { .. })
}

/// People whose raise was acknowledged, after a fault at an operation; and what is left after a power loss.
fn raise_with(faults: Faults, people: u64) -> (Vec<u64>, SimDisk, Journal) {
    let disk = SimDisk::default();
    let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
    let from = disk.operations();
    let shifted = |at: Option<u64>| at.map(|at| at + from);
    disk.set_faults(Faults {
        fails_at: shifted(faults.fails_at),
        fails_from: shifted(faults.fails_from),
        panics_at: shifted(faults.panics_at),
        ..faults
    });
    let acknowledged =
        (0..people).filter(|person| durable(&journal.one(*person, journal.raise(*person)))).collect();
    (acknowledged, disk, journal)
}

/// Whether these people are flagged by what the disk holds when the power goes.
pub(crate) fn survive(disk: &SimDisk, people: &[u64]) -> bool {
    let image = SimDisk::holding(disk.after_power_loss());
    let recovered = journal::guarded(Path::new("the simulated disk"), || {
        let journal = Journal::start(Store::on(Box::new(image))?);
        let all = people.iter().all(|person| journal.is_flagged(*person));
        journal.stop();
        Ok(all)
    });
    recovered.unwrap_or(false)
}

/// Operations that a few raises take on the disk: faults are put at each.
const FAULTS_TRIED: u64 = 36;

#[test]
fn after_a_disk_that_keeps_failing_nothing_is_acknowledged() {
    for at in 0..of_tier(FAULTS_TRIED, 300) {
        let (acknowledged, disk, journal) =
            raise_with(Faults { fails_from: Some(at), ..Faults::default() }, of_tier(4, 30));
        let so_many = acknowledged.len() as u64;
        assert_eq!(
            acknowledged,
            (0..so_many).collect::<Vec<_>>(),
            "operation {at}: acknowledged after a failure"
        );
        let failed = journal.metrics.journal_state() == JournalState::Failed;
        assert_eq!(failed, so_many < of_tier(4, 30), "operation {at}");
        journal.stop();
        disk.set_faults(Faults::default());
        assert!(survive(&disk, &acknowledged), "operation {at}");
    }
}

#[test]
fn after_one_failure_the_journal_is_read_again_and_goes_on() {
    for at in 0..of_tier(FAULTS_TRIED, 300) {
        for panics in [false, true] {
            let fault = match panics {
                false => Faults { fails_at: Some(at), ..Faults::default() },
                true => Faults { panics_at: Some(at), ..Faults::default() },
            };
            let (acknowledged, disk, journal) = raise_with(fault, 3);
            let epoch = journal.state.position().epoch;
            (0..5).for_each(|person| journal.raise_when_well(person));
            let failed = acknowledged.len() < 3;
            assert!(
                !failed
                    || epoch != journal.state.position().epoch
                    || journal.metrics.journal_state() == JournalState::Open,
                "operation {at}: it goes on in an epoch of its own"
            );
            assert_eq!(journal.state.position().index, 5, "operation {at}: each raise counts once");
            journal.stop();
            assert!(survive(&disk, &[0, 1, 2, 3, 4]), "operation {at}, panic: {panics}");
        }
    }
}

/// The negative control: a machine that shows after a failed sync what only its memory holds. Where the file is opened
/// again without forgetting that, acknowledged flags are lost with the power.
#[test]
fn a_journal_that_believes_the_memory_after_a_failed_sync_loses_flags() {
    let losses = (0..FAULTS_TRIED)
        .filter(|at| {
            let faults = Faults { fails_at: Some(*at), remembers: true, ..Faults::default() };
            let (acknowledged, disk, journal) = raise_with(faults, 3);
            // Until it goes on or cannot; what it acknowledges counts.
            let later = (0..3).filter(|person| {
                (0..20).any(|_| {
                    std::thread::sleep(Duration::from_millis(10));
                    durable(&journal.one(*person, journal.raise(*person)))
                })
            });
            let acknowledged: Vec<u64> = acknowledged.into_iter().chain(later.collect::<Vec<_>>()).collect();
            journal.stop();
            !survive(&disk, &acknowledged)
        })
        .count();
    assert!(losses > 0, "the control shows nothing");
}

#[test]
fn a_disk_that_is_full_at_the_write_is_found_out_and_heals() {
    let disk = SimDisk::default();
    let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
    journal.raise_when_well(0);
    disk.set_faults(Faults { bytes_max: Some(8_192), ..Faults::default() });
    assert_eq!(journal.one(1, journal.raise(1)), Said::Refused(Refusal::LogFull));
    assert_eq!(journal.one(2, journal.raise(2)), Said::Refused(Refusal::JournalFailed));
    disk.set_faults(Faults::default());
    (1..20).for_each(|person| journal.raise_when_well(person));
    journal.stop();
    assert!(survive(&disk, &(0..20).collect::<Vec<_>>()));
}

/// A file system of so many MiB, where this may be made.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn new(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("folder");
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "sparr-test"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then_some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte that is left.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.0.path().join("filler")).expect("made");
        for size in [1 << 20, 4_096, 1] {
            let bytes = vec![1; size];
            while file.write_all(&bytes).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.0.path().join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn on_a_full_disk_lifts_go_on_from_the_reserve_and_raises_come_back_with_the_room() {
    let Some(disk) = SmallDisk::new(48) else {
        return skipped("no tmpfs may be mounted", "P4, lifts and raises on a full disk");
    };
    const PEOPLE: u64 = 10_000;
    let file = disk.path().join("journal.redb");
    let open = || Store::open_reserving(&file, 16 << 20).expect("opened");
    let journal = Journal::start(open());
    let all = |journal: &Journal,
               intent: fn(&Journal, u64) -> Intent,
               people: std::ops::Range<u64>,
               offset| {
        let mut said = Vec::new();
        for from in people.clone().step_by(500) {
            let some = from..(from + 500).min(people.end);
            said.extend(journal.ask(some.map(|person| (person + offset, intent(journal, person))).collect()));
        }
        said
    };
    assert!(all(&journal, Journal::raise, 0..PEOPLE, 0).iter().all(durable));
    disk.fill();
    // The reserve is whole until somebody needs it; a raise that has begun ends.
    let more = all(&journal, Journal::raise, PEOPLE..PEOPLE + 5_000, 0);
    let full = Said::Refused(Refusal::LogFull);
    assert_eq!(more.last(), Some(&full), "raises are refused in the end");
    assert!(more.iter().all(|said| durable(said) || *said == full));
    assert_eq!(journal.metrics.journal_state(), JournalState::Full);
    // What is repeated is not refused: it was recorded before.
    assert!(durable(&journal.one(0, journal.raise(0))));
    let lifts = all(&journal, Journal::lift, 0..PEOPLE, 1_000_000);
    let lifted = lifts.iter().filter(|said| durable(said)).count();
    assert_eq!(lifted as u64, PEOPLE, "every lift is written from the reserve");
    assert_eq!(journal.one(20_000, journal.raise(20_000)), full);
    disk.empty();
    journal.raise_when_well(20_000);
    assert_eq!(journal.metrics.journal_state(), JournalState::Open);
    journal.stop();
    let journal = Journal::start(open());
    for person in 0..PEOPLE {
        assert!(!journal.is_flagged(person), "person {person} was lifted");
    }
    for (person, said) in (PEOPLE..).zip(&more) {
        assert_eq!(journal.is_flagged(person), durable(said), "person {person}");
    }
    assert!(journal.is_flagged(20_000));
    journal.stop();
}

/// A disk and a clock that were put back: others have heard of later lives than any that this file has given out.
#[test]
fn a_life_of_which_others_have_heard_is_outlived() {
    let disk = SimDisk::default();
    let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
    let renew = |above| journal.running().renew(above);
    let epoch = |person| {
        journal.raise_when_well(person);
        journal.state.position().epoch
    };
    let first = epoch(1);
    renew(first - 1);
    assert_eq!(epoch(2), first, "an earlier one is none of its business");
    renew(2_000_000_000);
    assert_eq!(epoch(3), 2_000_000_001);
    renew(2_000_000_001);
    assert_eq!(epoch(4), 2_000_000_002, "somebody else has lived this very one");
    journal.stop();

    let again = Journal::start(Store::on(Box::new(disk)).expect("the same disk"));
    assert!((1..=4).all(|person| again.is_flagged(person)), "one chain through all of them");
    again.raise_when_well(5);
    assert_eq!(again.state.position().epoch, 2_000_000_003, "whatever the clock says");
    again.stop();
}
