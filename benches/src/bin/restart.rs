//! `restart`: how long a start takes with ten million flags, and how much memory: after a clean stop, after a kill while a
//! snapshot was being written, and without any snapshot.
//!
//! `cargo run --release -p sparr-benches --bin restart -- [--flags N] [--tail N]`. Each start is a process of its own, so
//! that its peak memory is its own. The file is read warm, as the machine has it; `--cold` asks it to forget the file.

use arc_swap::ArcSwap;
use clap::Parser;
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::journal::Chain;
use sparr_engine::metrics::Metrics;
use sparr_engine::policy::{Policy, Required, Sharing, StaleAfter};
use sparr_engine::request::{Keyring, NetworkKey};
use sparr_engine::server::journal::{self, JournalFolder, Store};
use sparr_engine::server::keys::SigningKey;
use sparr_engine::server::snapshots;
use sparr_engine::snapshot::{SNAPSHOT_VERSION, SnapshotHead};
use sparr_engine::state::{EngineClock, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::record::{Origin, Payload};
use sparr_protocol::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The engine's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a start with many flags.
#[derive(Parser)]
#[command(name = "restart")]
struct Args {
    /// Flags in the journal
    #[arg(long, default_value_t = 10_000_000)]
    flags: u64,
    /// Records after the snapshot
    #[arg(long, default_value_t = 100_000)]
    tail: u64,
    /// Let the machine forget the files before each start
    #[arg(long)]
    cold: bool,
    /// Starts once, as the process that is measured
    #[arg(long, hide = true)]
    start_in: Option<PathBuf>,
    /// Writes a snapshot until it is killed
    #[arg(long, hide = true)]
    write_snapshots: bool,
}

type Failure = Box<dyn std::error::Error>;

const NOW_MS: i64 = 1_794_000_000_000;
/// Commits of one record each.
const LONE_COMMITS: u64 = 200;
/// Records of one commit while the journal is filled.
const COMMIT: u64 = 1_000;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.start_in {
        Some(folder) => start(folder, args.write_snapshots),
        None => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("restart: {problem}");
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark is about time")]
fn now() -> Instant {
    Instant::now()
}

fn member() -> Result<MemberName, Failure> {
    MemberName::parse("bench").ok_or_else(|| "a legal name".into())
}

fn state() -> Result<Arc<State>, Failure> {
    Ok(Arc::new(State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: Timestamp::from_ms(NOW_MS) },
        member: member()?,
        engine: 1,
        epoch: 1,
        velocity_keys_max: 1_000,
        ids_kept_max: 1_000,
    })))
}

/// A pseudonym that is as random as a real one.
fn pseudonym(number: u64) -> Pseudonym {
    let mix = |mut x: u64| {
        x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    };
    Pseudonym((u128::from(mix(number)) << 64 | u128::from(mix(!number))).to_le_bytes())
}

/// Raises of so many people, in commits of a thousand, as the journal's thread would write them.
fn fill(
    store: &Store,
    chain: &mut Chain,
    state: &State,
    people: std::ops::Range<u64>,
) -> Result<(), Failure> {
    let actor = Actor::new(member()?, Role::Desk, "bench").ok_or("a legal actor")?;
    let terms = Terms {
        wish: Wish::Verify,
        scope: Scope::Any,
        reason: FlagReason::Precaution,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until: Timestamp::from_ms(NOW_MS + 86_400_000 * 300),
    };
    let mut next = people.start;
    while next < people.end {
        let until = (next + COMMIT).min(people.end);
        let first = chain.head().sequence + 1;
        let mut records = Vec::new();
        for number in next..until {
            let payload = Payload::FlagRaised { subject: pseudonym(number), key_id: 1, terms };
            let operation = RequestId(u128::from(number + 1).to_le_bytes());
            // Long ago: a start does not also take them for repetitions of today.
            records.push(chain.append(Timestamp::from_ms(NOW_MS), actor.clone(), operation, "", payload));
        }
        store.append(&records, &chain.commit(first, 1))?;
        for sealed in &records {
            state.apply(&sealed.record, sealed.digest)?;
        }
        next = until;
    }
    Ok(())
}

/// What one start took.
struct Took {
    open_ms: f64,
    read_ms: f64,
    peak_mib: f64,
    flags: u64,
}

fn measure(args: &Args) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("journal.redb");
    let (started, state) = (now(), state()?);
    {
        let store = Store::open(&file)?;
        let origin = Origin {
            member: member()?,
            engine: 1,
            epoch: store.begin_epoch((member()?, 1), Timestamp::from_ms(NOW_MS), 0)?,
        };
        let mut chain = Chain::new(origin, [0; 32], 0);
        fill(&store, &mut chain, &state, 0..args.flags)?;
        let filled = started.elapsed();
        let journals: Vec<_> = chain.journal_head().into_iter().collect();
        let head = SnapshotHead {
            version: SNAPSHOT_VERSION,
            member: member()?,
            keys: state.keyring.fingerprints(),
            applied: args.flags,
            journals,
        };
        let written = now();
        let bytes = snapshots::write(&snapshots::folder(folder.path()), &state, &head)?;
        println!(
            "{} flags: journal {:.0} MiB in {:.1} s; snapshot {:.0} MiB in {:.2} s",
            args.flags,
            std::fs::metadata(&file)?.len() as f64 / 1_048_576.0,
            filled.as_secs_f64(),
            bytes as f64 / 1_048_576.0,
            written.elapsed().as_secs_f64()
        );
        fill(&store, &mut chain, &state, args.flags..args.flags + args.tail)?;
        let mut lone: Vec<_> = (0..LONE_COMMITS)
            .map(|number| {
                let (started, person) = (now(), args.flags + args.tail + number);
                fill(&store, &mut chain, &state, person..person + 1).map(|()| started.elapsed().as_micros())
            })
            .collect::<Result<_, _>>()?;
        lone.sort_unstable();
        println!("a commit of one record at this size: {} µs in the median", lone[lone.len() / 2]);
    }
    drop(state);
    println!("{:<46} {:>9} {:>9} {:>9} {:>9}", "start", "open ms", "read ms", "all ms", "peak MiB");
    for round in 1..=3 {
        row(&format!("after a clean stop, {round}"), &child(folder.path(), args)?, args)?;
    }
    for round in 1..=3 {
        kill_in_snapshot(folder.path())?;
        row(&format!("killed while a snapshot was written, {round}"), &child(folder.path(), args)?, args)?;
    }
    std::fs::remove_dir_all(snapshots::folder(folder.path()))?;
    row("without a snapshot", &child(folder.path(), args)?, args)
}

fn row(what: &str, took: &Took, args: &Args) -> Result<(), Failure> {
    let Took { open_ms, read_ms, peak_mib, flags } = *took;
    println!("{what:<46} {open_ms:>9.0} {read_ms:>9.0} {:>9.0} {peak_mib:>9.0}", open_ms + read_ms);
    if flags < args.flags + args.tail {
        return Err(format!("{flags} flags of {}", args.flags + args.tail).into());
    }
    Ok(())
}

/// One start, in a process of its own.
fn child(folder: &Path, args: &Args) -> Result<Took, Failure> {
    if args.cold {
        for file in [folder.join("journal.redb")].into_iter().chain(
            std::fs::read_dir(snapshots::folder(folder))
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path())),
        ) {
            // `dd` asks the system to forget a file (posix_fadvise), which needs no rights.
            let file = format!("if={}", file.display());
            Command::new("dd").args([&file, "iflag=nocache", "count=0"]).stderr(Stdio::null()).status()?;
        }
    }
    let output = Command::new(std::env::current_exe()?).arg("--start-in").arg(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [open_ms, read_ms, peak_mib, flags] => Ok(Took { open_ms, read_ms, peak_mib, flags: flags as u64 }),
        _ => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Starts an engine's journal, lets it write a snapshot, and kills it in the middle.
fn kill_in_snapshot(folder: &Path) -> Result<(), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--write-snapshots", "--start-in"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let unfinished = snapshots::folder(folder).join("unfinished");
    let started = now();
    while std::fs::metadata(&unfinished).map_or(0, |file| file.len()) < 1 << 20 {
        if started.elapsed() > Duration::from_secs(300) {
            return Err("no snapshot was begun".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    if unfinished.exists() { Ok(()) } else { Err("the kill came after the snapshot".into()) }
}

/// The process that is measured: opens the journal as an engine does, until the state is complete.
fn start(folder: &Path, write_snapshots: bool) -> Result<(), Failure> {
    let (started, state) = (now(), state()?);
    let store = Store::open(&folder.join("journal.redb"))?;
    let epoch = store.begin_epoch((member()?, 1), Timestamp::from_ms(NOW_MS), 0)?;
    let opened_after = started.elapsed();
    let metrics = Arc::new(Metrics::default());
    let origin = Origin { member: member()?, engine: 1, epoch };
    let journal_folder = JournalFolder { data_dir: folder, snapshot_records: u64::MAX };
    let opened = journal::open(store, journal_folder, origin, &state, &metrics)?;
    let all = started.elapsed();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    let peak: f64 = peak.and_then(|kib| kib.trim().parse().ok()).ok_or("no VmHWM")?;
    println!(
        "{} {} {} {}",
        opened_after.as_secs_f64() * 1e3,
        (all - opened_after).as_secs_f64() * 1e3,
        peak / 1_024.0,
        state.stores.flags.size(Timestamp::from_ms(NOW_MS)).active
    );
    let journals = opened.heads().to_vec();
    let key = SigningKey::load(&folder.join("keys"))?;
    let sharing = Arc::new(ArcSwap::from_pointee(Sharing::default()));
    let (handle, thread) = journal::start(opened, key, sharing, state.clone(), metrics, None)?;
    if write_snapshots {
        let applied = state.position().index;
        let head = SnapshotHead {
            version: SNAPSHOT_VERSION,
            member: member()?,
            keys: state.keyring.fingerprints(),
            applied,
            journals,
        };
        loop {
            snapshots::write(&snapshots::folder(folder), &state, &head)?;
        }
    }
    // A clean stop.
    drop(handle);
    thread.join().map_err(|_| "the journal's thread".into())
}
