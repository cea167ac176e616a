//! What the benchmarks share: an engine's core with flags and the shipped rules, and a stream of messages for it.

pub mod calls;
pub mod clock;
pub mod conformance;
pub mod planted;
pub mod rules;
pub mod tls;
pub mod windows;

/// What a benchmark gives up on.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

use planted::{raise_for, terms};
use sparr_engine::decision::VerifyUnavailable;
use sparr_engine::policy::{Policy, Required, StaleAfter};
use sparr_engine::request::{Keyring, NetworkKey, ValueKind};
use sparr_engine::rules::{self as engine_rules, SourceFile, Sources};
use sparr_engine::state::{EngineClock, Moment, State, StateConfig};
use sparr_loadgen::people::{Population, personal_number};
use sparr_loadgen::workload::Workload;
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::frame::Next;
use sparr_protocol::identity::Subject;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::time::{Date, Timestamp};
use std::path::Path;

/// The time of every request: the benchmarks measure work, not expiry.
pub const MOMENT: Moment =
    Moment { now: Timestamp::from_ms(1_795_348_800_000), today: Date::new(2026, 11, 22), steady_ms: 0 };

/// The shipped rules, read from the repository.
///
/// # Panics
///
/// Where the repository's own rules cannot be read.
pub fn shipped_rules() -> Sources {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let read = |path: &Path| {
        let Ok(text) = std::fs::read_to_string(path) else { panic!("{} cannot be read", path.display()) };
        text
    };
    let all = |dir: &Path, extensions: &[&str]| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = entries
            .filter(|path| path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)))
            .collect();
        paths.sort();
        let name =
            |path: &Path| path.strip_prefix(config.join("rules")).unwrap_or(path).display().to_string();
        paths.iter().map(|path| SourceFile { name: name(path), text: read(path) }).collect::<Vec<_>>()
    };
    Sources {
        rules: all(&config.join("rules"), &["yaml"]),
        lists: all(&config.join("rules/lists"), &["txt", "csv"]),
        reasons: SourceFile { name: "reasons.toml".to_owned(), text: read(&config.join("reasons.toml")) },
    }
}

/// A core with so many flags and the shipped rules.
///
/// # Panics
///
/// Where the shipped rules do not load.
pub fn core(flags: u64) -> State {
    core_that_keeps(flags, 8_000_000)
}

/// The same, with so many answered ids kept.
///
/// # Panics
///
/// Where the shipped rules do not load.
pub fn core_that_keeps(flags: u64, ids_kept_max: usize) -> State {
    let member = planted::member("bench");
    let state = State::new(StateConfig {
        keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
        policy: Policy {
            required: Required::default(),
            verify_unavailable: VerifyUnavailable::Hold,
            cooling_off_ms: 0,
            stale_after: StaleAfter::default(),
        },
        clock: EngineClock::Wall { began: Timestamp::from_ms(0) },
        member,
        engine: 1,
        epoch: 1,
        velocity_keys_max: 4_000_000,
        ids_kept_max,
    });
    let population = Population { flags, ..Population::default() };
    for (at, (person, asked)) in (0..).zip(population.flags()) {
        let number = personal_number(person);
        let Ok(subject) = Subject::parse(&number, SubjectKind::SePerson, None, MOMENT.today) else {
            panic!("a legal number")
        };
        let pseudonym = state.keyring.current(ValueKind::Subject, subject.canonical());
        raise_for(&state.stores.flags, pseudonym, at, terms(asked.wish, asked.scope));
    }
    let Some(set) = engine_rules::load(&shipped_rules()).set else { panic!("the shipped rules load") };
    state.activate(set, MOMENT);
    state.set_ready(true);
    state
}

/// Messages of a seeded stream, without their frames.
///
/// # Panics
///
/// Where the workload makes a request that does not fit a frame.
pub fn messages(count: usize) -> Vec<Vec<u8>> {
    let mut workload = Workload::new(1, Population::default());
    (0..count)
        .map(|_| {
            let mut bytes = Vec::new();
            let encoded = workload.next_request(MOMENT.now).encode(&mut bytes);
            let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else {
                panic!("one frame: {encoded:?}")
            };
            let Ok((_, message)) = frame.open() else { panic!("a sound frame") };
            message.to_vec()
        })
        .collect()
}
