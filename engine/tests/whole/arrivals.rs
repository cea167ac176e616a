//! Records of another engine at the journal: they act at once, whatever the disk does, and are durable once it is well.

use crate::journal_faults::{Journal, survive};
use crate::sim_disk::{Faults, SimDisk};
use sparr_engine::journal::{Chain, Sealed};
use sparr_engine::server::journal::{Foreign, Store};
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::{Commit, Origin, Payload};
use sparr_protocol::testing::denied;
use sparr_protocol::time::Timestamp;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// People in a commit.
const PEOPLE: u64 = 2;
/// Long enough for a journal that fails and comes back some times.
const PATIENCE: Duration = Duration::from_secs(60);

/// Commits of another member's engine, each flagging the next two people.
fn commits(journal: &Journal, commits: u64) -> Vec<(Commit, Vec<Sealed>)> {
    let other = MemberName::parse("bank-2").expect("legal");
    journal.state.members.configure(other, MemberKind::Bank, [0; 32]);
    let mut chain = Chain::new(Origin { member: other, engine: 1, epoch: 7 }, [0; 32], 0);
    let mut commit = |first: u64| {
        let records = (first..first + PEOPLE).map(|person| {
            let (key_id, subject) = journal.subject(person).current;
            let terms = denied(Timestamp::from_ms(1_900_000_000_000));
            let payload = Payload::FlagRaised { subject, key_id, terms };
            let actor = Actor::new(other, Role::Desk, "bo").expect("legal");
            chain.append(
                Timestamp::from_ms(1_700_000_000_000),
                actor,
                RequestId([person as u8; 16]),
                "",
                payload,
            )
        });
        let records: Vec<_> = records.collect();
        (chain.commit(first + 1, 1), records)
    };
    (0..commits).map(|number| commit(number * PEOPLE)).collect()
}

/// Hands a commit to the journal; whether it was kept is heard under its last sequence.
fn keep(journal: &Journal, (commit, records): (Commit, Vec<Sealed>), heard: &Sender<(u64, bool)>) {
    let (heard, last) = (heard.clone(), commit.last_sequence);
    let done = Box::new(move |kept| heard.send((last, kept)).expect("somebody listens"));
    journal.running().keep(Foreign { commit, records, done });
}

fn hear(from: &Receiver<(u64, bool)>, many: usize) -> Vec<(u64, bool)> {
    (0..many).map(|_| from.recv_timeout(PATIENCE).expect("it is said what became of it")).collect()
}

#[test]
fn whatever_fails_they_act_and_are_kept_in_order() {
    for at in 0..16 {
        for panics in [false, true] {
            let disk = SimDisk::default();
            let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
            let place = Some(disk.operations() + at);
            disk.set_faults(match panics {
                false => Faults { fails_at: place, ..Faults::default() },
                true => Faults { panics_at: place, ..Faults::default() },
            });
            let (said, heard) = channel();
            commits(&journal, 5).into_iter().for_each(|one| keep(&journal, one, &said));
            let kept = hear(&heard, 5);
            assert_eq!(kept, [2, 4, 6, 8, 10].map(|last| (last, true)), "operation {at}, panic: {panics}");
            assert!((0..10).all(|person| journal.is_flagged(person)));
            assert_eq!(journal.state.position().index, 10, "operation {at}: each acts once");
            journal.stop();
            assert!(survive(&disk, &(0..10).collect::<Vec<_>>()), "operation {at}, panic: {panics}");
        }
    }
}

#[test]
fn a_disk_that_is_gone_holds_nobodys_protection_up() {
    let disk = SimDisk::default();
    let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
    disk.set_faults(Faults { fails_from: Some(disk.operations()), ..Faults::default() });
    let (said, heard) = channel();
    commits(&journal, 3).into_iter().for_each(|one| keep(&journal, one, &said));
    let acts = || (0..6).all(|person| journal.is_flagged(person));
    for _ in 0..600 {
        if acts() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(acts());
    assert!(heard.try_recv().is_err(), "nothing is said to be durable");
    disk.set_faults(Faults::default());
    assert_eq!(hear(&heard, 3), [(2, true), (4, true), (6, true)]);
    journal.stop();
    assert!(survive(&disk, &[0, 1, 2, 3, 4, 5]));
}

/// A journal with a hole could not be read at the next start.
#[test]
fn what_comes_after_something_that_is_missing_is_not_taken() {
    let disk = SimDisk::default();
    let journal = Journal::start(Store::on(Box::new(disk.clone())).expect("an empty disk"));
    let (said, heard) = channel();
    let [first, second, third] = <[_; 3]>::try_from(commits(&journal, 3)).expect("three");
    keep(&journal, first.clone(), &said);
    keep(&journal, third.clone(), &said);
    let mut kept = hear(&heard, 2);
    kept.sort_unstable();
    assert_eq!(kept, [(2, true), (6, false)]);
    assert!(!journal.is_flagged(4));
    keep(&journal, second, &said);
    keep(&journal, third, &said);
    keep(&journal, first, &said);
    let mut kept = hear(&heard, 3);
    kept.sort_unstable();
    assert_eq!(kept, [(2, false), (4, true), (6, true)], "what is there is not taken twice");
    journal.stop();
    assert!(survive(&disk, &[0, 1, 2, 3, 4, 5]));
}
