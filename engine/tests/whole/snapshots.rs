//! A restart from a snapshot gives the state that the whole journal gives; a snapshot that is not whole is not used; a kill
//! while one is being written loses nothing.

use crate::durability::flags_or_refusal;
use crate::merge::{NOW, fold, history, member, state};
use crate::sim_disk::Random;
use crate::support::{EngineProcess, of_tier, seed, text};
use sparr_engine::journal::{JournalHead, Sealed};
use sparr_engine::server::journal::Store;
use sparr_engine::server::snapshots;
use sparr_engine::snapshot::{SNAPSHOT_VERSION, SnapshotHead};
use sparr_loadgen::workload::personal_number;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn head(applied: u64, journals: Vec<JournalHead>) -> SnapshotHead {
    let state = state();
    SnapshotHead {
        version: SNAPSHOT_VERSION,
        member: member("bank-1"),
        keys: state.keyring.fingerprints(),
        applied,
        journals,
    }
}

fn only_file(dir: &Path) -> PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// The oracle is the fold itself: a snapshot at any place of the history and all records from an earlier place on, which
/// is what a snapshot that was written while records came in amounts to, give the digest of all records.
#[test]
fn a_snapshot_and_what_came_after_it_are_the_whole_history() {
    let (seed, history) = (seed(), history(seed()));
    let (expected, _) = fold(history.iter().cloned());
    let mut random = Random(seed);
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::open(&folder.path().join("journal.redb")).expect("an empty journal");
    for round in 0..4 {
        let until = random.below(history.len());
        let certainly = random.below(until + 1);
        let written = state();
        history[..until]
            .iter()
            .for_each(|(record, digest)| written.apply(record, *digest).expect("understood"));
        let dir = folder.path().join(format!("snapshots-{round}"));
        snapshots::write(&dir, &written, &head(certainly as u64, Vec::new())).expect("written");

        let read = state();
        let found = snapshots::read(&dir, &read, &store).expect("legal").expect("whole");
        assert_eq!(found.applied, certainly as u64);
        assert_eq!(read.exchange_digest(NOW), written.exchange_digest(NOW), "replay with SPARR_SEED={seed}");
        history[certainly..]
            .iter()
            .for_each(|(record, digest)| read.apply(record, *digest).expect("understood"));
        assert_eq!(read.exchange_digest(NOW), expected, "replay with SPARR_SEED={seed}");
    }
    // The control: without the records after it, it is not the whole history.
    let short = state();
    let dir = folder.path().join("short");
    snapshots::write(&dir, &short, &head(0, Vec::new())).expect("written");
    assert_ne!(short.exchange_digest(NOW), expected);
}

#[test]
fn a_snapshot_that_is_not_whole_is_not_used_at_all() {
    let seed = seed();
    let mut random = Random(seed);
    let folder = tempfile::tempdir().expect("folder");
    let store = Store::open(&folder.path().join("journal.redb")).expect("an empty journal");
    let written = state();
    history(seed)[..2_000]
        .iter()
        .for_each(|(record, digest)| written.apply(record, *digest).expect("understood"));
    let dir = folder.path().join("snapshots");
    snapshots::write(&dir, &written, &head(2_000, Vec::new())).expect("written");
    let file = only_file(&dir);
    let whole = fs::read(&file).expect("there");
    let empty = state().exchange_digest(NOW);
    for trial in 0..of_tier(300, 10_000) {
        let at = random.below(whole.len());
        let mut bytes = whole.clone();
        match trial % 4 {
            0 => bytes.truncate(at),
            1 => bytes[at..(at + 512).min(whole.len())].fill(0),
            // Nothing is after the end; what is there belongs to nobody.
            2 => bytes.drain(at..(at + 1 + random.below(64)).min(whole.len())).for_each(drop),
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes == whole {
            continue;
        }
        fs::write(&file, &bytes).expect("written");
        let read = state();
        let found = snapshots::read(&dir, &read, &store).expect("the journal is read instead");
        assert_eq!(found, None, "trial {trial} at {at}; replay with SPARR_SEED={seed}");
        assert_eq!(read.exchange_digest(NOW), empty, "trial {trial} at {at}; replay with SPARR_SEED={seed}");
    }
    fs::write(&file, &whole).expect("written");
    assert!(snapshots::read(&dir, &state(), &store).expect("legal").is_some(), "the control");
}

fn start(folder: &Path) -> EngineProcess {
    let rules = crate::support::shipped_rules().display().to_string();
    let config = folder.join("engine.toml");
    fs::write(&config, "snapshot_records = 8\n").expect("written");
    EngineProcess::start_in(folder, &["--config", &config.display().to_string(), "--rules", &rules])
}

fn raise(engine: &EngineProcess, persons: std::ops::Range<u64>) {
    let file = engine.data_dir.join("flags.csv");
    let lines: String =
        persons.map(|person| format!("{},deny,2030-12-31,any\n", personal_number(person))).collect();
    fs::write(&file, format!("subject,wish,until,scope\n{lines}")).expect("written");
    let output = engine.sparr(&["flag", "import", &file.display().to_string()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn flags(engine: &EngineProcess) -> usize {
    engine.json(&["flag", "list", "--json"])["flags"].as_array().expect("a list").len()
}

fn snapshots_in(folder: &Path) -> usize {
    let files = fs::read_dir(folder.join("snapshots")).map(|files| files.count());
    files.unwrap_or(0)
}

#[test]
fn a_kill_at_any_moment_of_a_snapshot_loses_nothing_and_an_older_journal_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let mut random = Random(seed());
    let older = folder.path().join("older.redb");
    let mut raised = 0;
    for life in 0..of_tier(4, 40) {
        let engine = start(folder.path());
        assert_eq!(flags(&engine), raised as usize, "life {life}");
        raise(&engine, raised..raised + 20);
        raised += 20;
        // Snapshots of eight records follow each other: a kill now meets one being written, or between two.
        std::thread::sleep(Duration::from_micros(random.below(3_000) as u64));
        engine.signal("KILL");
        engine.kill();
        if life == 0 {
            fs::copy(folder.path().join("journal.redb"), &older).expect("copied");
        }
    }
    assert!(snapshots_in(folder.path()) >= 1);
    let engine = start(folder.path());
    assert_eq!(flags(&engine), raised as usize);
    raise(&engine, raised..raised + 20);
    raised += 20;
    // Written beside what goes on, so it may be counted a moment later.
    let written = || engine.metric("sparr_snapshots_total{result=\"written\"}") >= 1.0;
    let mut looks = 0..1_000;
    assert!(looks.any(|_| written() || {
        std::thread::sleep(Duration::from_millis(10));
        false
    }));
    engine.signal("TERM");
    engine.wait();

    // Only the journal's file is put back from a copy: the snapshots have seen more than it holds.
    fs::copy(&older, folder.path().join("journal.redb")).expect("copied");
    let refused = flags_or_refusal(folder.path()).expect_err("an older journal");
    assert!(refused.contains("records that") && refused.contains("are not in it"), "{refused}");
    // Whoever decides to go on with what it holds can, by removing both that know better.
    fs::remove_dir_all(folder.path().join("snapshots")).expect("removed");
    let refused = flags_or_refusal(folder.path()).expect_err("an older journal");
    assert!(refused.contains("remove journal.head"), "{refused}");
    fs::remove_file(folder.path().join("journal.head")).expect("removed");
    let engine = start(folder.path());
    assert_eq!(flags(&engine), 20, "of {raised}");
}

/// What a snapshot stands for is read as well after a kill. A journal whose older part is another one is not written on,
/// and screening goes on with what the snapshot holds.
#[test]
fn after_a_kill_the_part_before_the_snapshot_is_read_as_well() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = start(folder.path());
    raise(&engine, 0..30);
    let mut looks = 0..1_000;
    let written = || engine.metric("sparr_snapshots_total{result=\"written\"}") >= 1.0;
    assert!(looks.any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        written()
    }));
    engine.signal("KILL");
    engine.kill();
    // The control: a whole journal takes changes in after a kill.
    let engine = start(folder.path());
    raise(&engine, 30..31);
    engine.signal("KILL");
    engine.kill();

    let store = Store::open(&folder.path().join("journal.redb")).expect("opens");
    let mut records = Vec::new();
    let all = store.replay_after(&[], |sealed| {
        records.push(sealed);
        Ok(())
    });
    all.expect("whole");
    // The second record's place holds the third one: every page is sound, and the history is another one.
    let misplaced = Sealed { bytes: records[2].bytes.clone(), ..records[1].clone() };
    let last = store.commits().expect("readable").pop().expect("a commit");
    store.append(&[misplaced], &last).expect("written");
    drop(store);

    let engine = start(folder.path());
    assert_eq!(flags(&engine), 31, "what was snapshot is right");
    let refused = |engine: &EngineProcess| {
        let person = personal_number(40);
        let output = engine.sparr(&[
            "flag",
            "raise",
            "--subject",
            &person,
            "--wish",
            "deny",
            "--until",
            "2030-12-31",
            "--reason",
            "scam",
            "--json",
        ]);
        text(&output.stdout).contains("journal_failed")
    };
    let mut looks = 0..1_000;
    assert!(looks.any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        refused(&engine)
    }));
    assert!(engine.log().contains("is damaged"), "{}", engine.log());
    assert_eq!(flags(&engine), 31, "screening and reading go on");
}
