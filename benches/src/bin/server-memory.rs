//! `server-memory`: how often each thread of a whole engine asks for memory for one request, and what a hostile connection
//! takes. Counts, which no noise moves; the decision path alone asks for none (`tests/allocations.rs`).

use clap::Parser;
use rustix::thread::gettid;
use sparr_benches::Failure;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{EngineConfig, Overrides, RulesFrom};
use sparr_loadgen::frames::numbered;
use sparr_loadgen::people::Population;
use sparr_loadgen::workload::Workload;
use sparr_loadgen::{closed_loop, fresh_run};
use sparr_protocol::client::{ClientConfig, EngineConnection, FailPolicy, Fallback, Identity, Pipe};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Threads that are told apart; more share the last place.
const THREADS_MAX: usize = 128;

/// What one thread has asked for.
struct Counted {
    thread: AtomicI64,
    allocations: AtomicU64,
    /// Bytes that it has taken and not given back; what another thread gives back is missing there.
    live: AtomicI64,
}

static COUNTED: [Counted; THREADS_MAX] = [const {
    Counted { thread: AtomicI64::new(0), allocations: AtomicU64::new(0), live: AtomicI64::new(0) }
}; THREADS_MAX];
static PLACES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Counts for the calling thread; asks for no memory itself.
fn count(allocations: u64, bytes: i64) {
    let place = PLACE.try_with(|place| {
        if place.get() == usize::MAX {
            let free = PLACES.fetch_add(1, Ordering::Relaxed).min(THREADS_MAX - 1);
            COUNTED[free].thread.store(i64::from(gettid().as_raw_nonzero().get()), Ordering::Relaxed);
            place.set(free);
        }
        place.get()
    });
    // A thread that is ending has no place any more.
    let counted = &COUNTED[place.unwrap_or(THREADS_MAX - 1)];
    counted.allocations.fetch_add(allocations, Ordering::Relaxed);
    counted.live.fetch_add(bytes, Ordering::Relaxed);
}

/// The engine's allocator, counting.
struct Counting(mimalloc::MiMalloc);

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and passes on")]
// SAFETY: every call goes to mimalloc unchanged; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(1, bytes as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { self.0.realloc(pointer, layout, bytes) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `alloc`.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting(mimalloc::MiMalloc);

/// Counts what an engine asks for.
#[derive(Parser)]
#[command(name = "server-memory")]
struct Args {
    /// Requests before counting begins, and as many while it counts
    #[arg(long, default_value_t = 200_000)]
    requests: usize,
    /// Requests in flight
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Hostile connections of each kind
    #[arg(long, default_value_t = 16)]
    hostile: usize,
}

fn main() -> ExitCode {
    match measure(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("server-memory: {problem}");
            ExitCode::from(2)
        }
    }
}

fn measure(args: &Args) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let local = || Some("127.0.0.1:0".to_owned());
    let data_dir = Some(folder.path().to_owned());
    let overrides = Overrides {
        dev: true,
        data_dir,
        listen: local(),
        admin: local(),
        workers: Some(1),
        ..Overrides::default()
    };
    let mut config = EngineConfig::load(None, overrides)?;
    config.rules = RulesFrom::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules"));
    let engine = Engine::start(config)?;
    let identity = Identity::from_dir(&folder.path().join("dev/gateway"))?;
    let client = ClientConfig::new(engine.listen, identity, FailPolicy::by_kind(|_| Fallback::Decline));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        steady(args, &client).await?;
        hostile(args, &client).await
    })
}

fn requests() -> impl Iterator<Item = AuthorisationRequest> {
    let population = Population { people: 20_000, merchants: 2_000, flags: 0 };
    let (run, mut workload) = (fresh_run(), Workload::new(1, population));
    (0..).map(move |number| AuthorisationRequest {
        event_time: None,
        request_id: numbered(run, number),
        ..workload.next_request(Timestamp::from_ms(0))
    })
}

/// What the threads of a name have asked for since the start: times, and bytes that they hold.
fn by_name() -> BTreeMap<String, (u64, i64)> {
    let mut all = BTreeMap::new();
    for counted in &COUNTED[..PLACES.load(Ordering::Relaxed).min(THREADS_MAX)] {
        let comm = format!("/proc/self/task/{}/comm", counted.thread.load(Ordering::Relaxed));
        let name = std::fs::read_to_string(comm)
            .map_or_else(|_| "ended".to_owned(), |name| name.trim_end().to_owned());
        let (allocations, live) = all.entry(name).or_default();
        *allocations += counted.allocations.load(Ordering::Relaxed);
        *live += counted.live.load(Ordering::Relaxed);
    }
    all
}

/// The thread of this program's own client, which is left out.
const CLIENT: &str = "server-memory";

async fn steady(args: &Args, client: &ClientConfig) -> Result<(), Failure> {
    let connection = EngineConnection::open(client).await?;
    let mut requests = requests();
    for counts in [false, true] {
        let before = by_name();
        let some = requests.by_ref().take(args.requests);
        closed_loop::run(connection.pipe().await?, some, args.in_flight, |_, _| {}).await?;
        if !counts {
            continue;
        }
        println!(
            "{} requests, {} in flight: asked for memory, for each request",
            args.requests, args.in_flight
        );
        for (name, (after, _)) in by_name().into_iter().filter(|(name, _)| name != CLIENT) {
            let times = after - before.get(&name).map_or(0, |before| before.0);
            if times > 0 {
                println!("  {name:<16}{:>8.3}", times as f64 / args.requests as f64);
            }
        }
    }
    connection.close().await;
    Ok(())
}

/// Bytes that the engine holds.
fn held() -> i64 {
    by_name().into_iter().filter(|(name, _)| name != CLIENT).map(|(_, (_, live))| live).sum()
}

/// Times that more is written to each stream.
const ROUNDS: usize = 200;

/// Bytes that a hostile connection may take.
const BOUND_BYTES: i64 = 1 << 20;

async fn hostile(args: &Args, client: &ClientConfig) -> Result<(), Failure> {
    let mut frame = Vec::new();
    if let Some(request) = requests().next() {
        request.encode(&mut frame)?;
    }
    println!(
        "{} hostile connections: bytes that the engine holds for each (the bound is 1 MiB)",
        args.hostile
    );
    for (what, streams, half) in [
        ("asks on 256 streams and reads nothing", 256, false),
        ("half a request on each of 256 streams", 256, true),
    ] {
        let before = held();
        let mut kept: Vec<(EngineConnection, Vec<(Pipe, usize)>)> = Vec::new();
        for _ in 0..args.hostile {
            let connection = EngineConnection::open(client).await?;
            let mut pipes = Vec::new();
            for _ in 0..streams {
                pipes.push((connection.pipe().await?, 0));
            }
            kept.push((connection, pipes));
        }
        let many = frame.repeat(16);
        for round in 0..ROUNDS {
            for (pipe, written) in kept.iter_mut().flat_map(|(_, pipes)| pipes) {
                // What the transport does not take is not the engine's. Answers are never read.
                if !half {
                    *written += pipe.sender.try_send(&many[*written..])?;
                    *written %= many.len();
                } else if round == 0 {
                    pipe.sender.try_send(&frame[..frame.len() / 2])?;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What was asked has gone through the recorder by then, and the rest waits.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let open = held() - before;
        for (connection, pipes) in kept {
            drop(pipes);
            connection.close().await;
        }
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        // What stays is kept of what was asked, not of who asked.
        let stays = held() - before;
        let each = (open - stays) / args.hostile as i64;
        println!("  {what:<42}{each:>10}{}", if each > BOUND_BYTES { "  MISSED" } else { "" });
    }
    Ok(())
}
