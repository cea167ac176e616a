//! What was acknowledged is there after the power went at any operation; what rots on the disk is found.
//!
//! The journal lies on a simulated disk. After each of its operations images are made of what a power loss may leave, and
//! each is recovered. `SPARR_TIER=1` makes many more.

use crate::sim_disk::{Event, Faults, Random, SimDisk, kept, torn};
use crate::support::{of_tier, seed};
use sparr_engine::journal::{Chain, Sealed};
use sparr_engine::server::journal::{Store, StoreError, guarded};
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName, RequestId};
use sparr_protocol::record::{Commit, Origin, Payload, RecordDigest};
use sparr_protocol::time::Timestamp;
use std::path::Path;

fn member() -> MemberName {
    MemberName::parse("bank-1").expect("legal")
}

/// A chain of records of the same kind as any, of varying size.
struct Writer {
    chain: Chain,
    random: Random,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let origin = Origin { member: member(), engine: 1, epoch: 1 };
        Self { chain: Chain::new(origin, [0; 32], 0), random: Random(seed) }
    }

    fn batch(&mut self) -> (Vec<Sealed>, Commit) {
        let records: Vec<Sealed> = (0..=self.random.below(3)).map(|_| self.record()).collect();
        let commit = self.chain.commit(records[0].record.sequence, 1);
        (records, commit)
    }

    fn record(&mut self) -> Sealed {
        let bytes = (0..self.random.below(900)).map(|_| self.random.below(256) as u8).collect();
        let payload = Payload::Unknown { kind: 250, must_understand: false, bytes };
        let actor = Actor::new(member(), Role::Desk, "anna").expect("legal");
        self.chain.append(Timestamp::from_ms(1_000), actor, RequestId([1; 16]), "", payload)
    }
}

/// Writes a history of commits and notes after each what has been acknowledged.
fn history(seed: u64, commits: usize, faults: Faults) -> (Vec<RecordDigest>, Vec<Event>) {
    let disk = SimDisk::default();
    let store = Store::on(Box::new(disk.clone())).expect("an empty disk");
    disk.set_faults(faults);
    let mut writer = Writer::new(seed);
    let mut digests = Vec::new();
    for _ in 0..commits {
        let (records, commit) = writer.batch();
        store.append(&records, &commit).expect("a disk that says that all is well");
        digests.extend(records.iter().map(|sealed| sealed.digest));
        disk.acknowledged(digests.len());
    }
    (digests, disk.events())
}

/// Every record that a disk gives back, and how many commits; or why it gives back nothing.
fn recovered(disk: &SimDisk) -> Result<(Vec<RecordDigest>, usize), StoreError> {
    guarded(Path::new("the simulated disk"), || {
        let store = Store::on(Box::new(disk.clone()))?;
        let mut digests = Vec::new();
        store.replay(member(), 1, |sealed| {
            digests.push(sealed.digest);
            Ok(())
        })?;
        Ok((digests, store.commits()?.len()))
    })
}

/// What is wrong with an image, if something is.
fn wrong(image: Vec<u8>, digests: &[RecordDigest], acknowledged: usize) -> Option<String> {
    let disk = SimDisk::holding(image);
    let (found, commits) = match recovered(&disk) {
        Ok(found) => found,
        // Before anything was acknowledged there may be no journal yet.
        Err(_) if acknowledged == 0 => return None,
        Err(error) => return Some(format!("not recovered: {error}")),
    };
    if found.len() < acknowledged {
        return Some(format!("{acknowledged} acknowledged, {} found", found.len()));
    }
    if found != digests[..found.len()] {
        return Some("records that nobody wrote".to_owned());
    }
    match recovered(&disk) {
        Ok(again) if again == (found, commits) => None,
        Ok(_) => Some("recovered twice, and differently".to_owned()),
        Err(error) => Some(format!("recovered once, and then not: {error}")),
    }
}

/// Cuts the power after each operation, with so many torn images each: how many images, and what is wrong with them.
fn cut_everywhere(
    digests: &[RecordDigest],
    events: &[Event],
    torn_each: usize,
    seed: u64,
) -> (usize, Vec<String>) {
    let (mut durable, mut pending) = (Vec::new(), Vec::<&Event>::new());
    let (mut acknowledged, mut images, mut findings) = (0, 0, Vec::new());
    let mut random = Random(seed);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Write { .. } | Event::SetLen(_) => pending.push(event),
            Event::Sync => {
                durable = kept(&durable, &pending);
                pending.clear();
            }
            Event::Acknowledged(records) => acknowledged = *records,
        }
        let mut look = |how: &str, image: Vec<u8>| {
            images += 1;
            if let Some(what) = wrong(image, digests, acknowledged) {
                findings.push(format!("operation {at}, {how}: {what}"));
            }
        };
        look("nothing reached the disk", durable.clone());
        if !pending.is_empty() {
            look("everything did", kept(&durable, &pending));
            for _ in 0..torn_each {
                look("some of it did", torn(&durable, &pending, &mut random));
            }
        }
    }
    (images, findings)
}

#[test]
fn every_acknowledged_record_survives_a_power_loss_at_any_operation() {
    let (mut images, mut operations) = (0, 0);
    for round in 0..of_tier(1, 5) {
        let seed = seed().wrapping_add(round);
        let (digests, events) = history(seed, of_tier(120, 150) as usize, Faults::default());
        let (made, findings) = cut_everywhere(&digests, &events, of_tier(10, 20) as usize, seed);
        images += made;
        operations += events.len();
        assert!(
            findings.is_empty(),
            "replay with SPARR_SEED={seed}; {} findings, first {:?}",
            findings.len(),
            &findings[..findings.len().min(5)]
        );
    }
    println!("{images} images after {operations} operations");
    assert!(images as u64 > of_tier(9_000, 100_000), "{images} images");
}

/// The negative control: a disk that says once that it has synced, and has not, is found out, whichever sync it is.
#[test]
fn a_disk_that_skips_one_sync_is_found_out() {
    let (_, honest) = history(1, 12, Faults::default());
    let last = honest.iter().filter(|event| !matches!(event, Event::Acknowledged(_))).count() as u64;
    for from in (20..last - 40).step_by(25) {
        let faults = Faults { lies_from: Some(from), ..Faults::default() };
        let (digests, events) = history(1, 12, faults);
        let (_, findings) = cut_everywhere(&digests, &events, 0, 1);
        assert!(!findings.is_empty(), "the sync after operation {from} was skipped and nothing was missed");
    }
}

/// What happens to a file that lies on a disk for years.
#[derive(Clone, Copy, Debug)]
enum Rot {
    Bit,
    ZeroedPage,
    Misdirected,
    CutOff,
}

/// A journal that ended in order, as it lies on the disk.
struct Ended {
    folder: tempfile::TempDir,
    whole: Vec<u8>,
    digests: Vec<RecordDigest>,
}

impl Ended {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("journal.redb");
        let mut digests = Vec::new();
        let mut store = Store::open(&file).expect("made");
        let mut writer = Writer::new(7);
        for _ in 0..60 {
            let (records, commit) = writer.batch();
            store.append(&records, &commit).expect("written");
            digests.extend(records.iter().map(|sealed| sealed.digest));
        }
        store.end(*digests.last().expect("records"));
        let ended = Self { whole: std::fs::read(&file).expect("readable"), folder, digests };
        assert_eq!(ended.read_as(&ended.whole).expect("the control"), ended.digests);
        ended
    }

    /// What an engine reads where the file is this.
    fn read_as(&self, bytes: &[u8]) -> Result<Vec<RecordDigest>, StoreError> {
        let file = self.folder.path().join("journal.redb");
        std::fs::write(&file, bytes).expect("written");
        guarded(&file, || {
            let store = Store::open(&file)?;
            let mut found = Vec::new();
            store.replay(member(), 1, |sealed| {
                found.push(sealed.digest);
                Ok(())
            })?;
            Ok(found)
        })
    }
}

/// The negative control: without the last word beside it, a page that lies where another belongs takes records away, and
/// nothing notices.
#[test]
fn a_journal_without_its_last_word_may_show_an_older_state() {
    let ended = Ended::new();
    let pages = ended.whole.len() / 4_096;
    let unnoticed = |from: usize| {
        (0..pages).any(|to| {
            let mut bytes = ended.whole.clone();
            bytes.copy_within(from * 4_096..(from + 1) * 4_096, to * 4_096);
            ended.read_as(&bytes).is_ok_and(|found| found != ended.digests)
        })
    };
    let from = (3..pages).step_by(9);
    assert!(from.clone().all(|from| !unnoticed(from)), "with it");
    std::fs::remove_file(ended.folder.path().join("journal.head")).expect("it is there");
    assert!(from.clone().any(unnoticed), "without it");
}

#[test]
fn rot_is_found_or_harmless() {
    let ended = Ended::new();
    let whole = &ended.whole;
    let seed = seed();
    let mut random = Random(seed);
    let (mut detected, mut harmless) = (0, 0);
    let trials = of_tier(400, 10_000);
    for trial in 0..trials {
        let mut bytes = whole.clone();
        let rot = [Rot::Bit, Rot::ZeroedPage, Rot::Misdirected, Rot::CutOff][random.below(4)];
        let page = |random: &mut Random| random.below(whole.len() / 4_096) * 4_096;
        match rot {
            Rot::Bit => {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            Rot::ZeroedPage => {
                let at = page(&mut random);
                bytes[at..at + 4_096].fill(0);
            }
            Rot::Misdirected => {
                let (from, to) = (page(&mut random), page(&mut random));
                bytes.copy_within(from..from + 4_096, to);
            }
            Rot::CutOff => bytes.truncate(random.below(whole.len() - 1) + 1),
        }
        match ended.read_as(&bytes) {
            Err(_) => detected += 1,
            Ok(found) => {
                let lost = ended.digests.len() - found.len().min(ended.digests.len());
                assert!(
                    found == ended.digests,
                    "trial {trial}, {rot:?}: {lost} lost, undetected; SPARR_SEED={seed}"
                );
                harmless += 1;
            }
        }
    }
    println!("{trials} trials: {detected} detected, {harmless} in places that hold nothing");
    assert!(detected * 4 > trials, "{detected} of {trials} detected");
}
