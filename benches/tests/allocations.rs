//! How often the decision path asks for memory once it is warm: never, with the shipped rules and a hundred thousand
//! flags. "Warm" means that the payers, cards, devices and shops of the stream were seen before; a key that was never
//! seen needs room for its events, and that is counted apart.

use sparr_benches::{MOMENT, core_that_keeps, messages};
use sparr_engine::ids::CallerNo;
use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use sparr_engine::state::Moment;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks for.
struct Counting;

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait; this one only counts and passes on")]
// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Different requests, which come again and again.
const MESSAGES: usize = 1_024;
/// Rounds in which tables grow to their size: a key's events up to 64 and its panes up to 32, the ids up to the
/// kept number.
const WARM_ROUNDS: i64 = 192;
const ROUNDS: i64 = 32;
/// Few enough ids that their tables are full soon: at the usual eight million they grow for minutes.
const IDS_KEPT_MAX: usize = 16_384;

#[test]
fn a_warm_decision_path_asks_for_no_memory() {
    let (state, mut messages) = (core_that_keeps(100_000, IDS_KEPT_MAX), messages(MESSAGES));
    let rules = state.rules();
    let mut scratch = Scratch::default();
    let mut number = 0u64;
    let mut round = |round: i64| {
        let before = ALLOCATIONS.get();
        let now = MOMENT.now.saturating_add_ms(round * 20_000);
        let asked = Asked {
            caller: CallerNo(0),
            moment: Moment { now, ..MOMENT },
            since_read: &Stopped,
            without_shadow: false,
        };
        for message in &mut messages {
            // A new id and time, where `protocol/WIRE.md` has them: a repeated request would only be looked up.
            number += 1;
            message[..8].copy_from_slice(&number.to_le_bytes());
            message[24..32].copy_from_slice(&now.ms().to_le_bytes());
            let answer = screen(message, asked, &state, rules.as_deref(), &mut scratch, &mut Unobserved);
            assert!(answer.answer.is_ok(), "{:?}", answer.answer);
        }
        ALLOCATIONS.get() - before
    };
    let cold: u64 = (0..WARM_ROUNDS).map(&mut round).sum();
    let warm: u64 = (WARM_ROUNDS..WARM_ROUNDS + ROUNDS).map(&mut round).sum();
    let requests = MESSAGES as i64 * ROUNDS;
    println!("{cold} allocations while it grew; {warm} in {requests} requests once it was warm");
    assert!(cold > MESSAGES as u64, "the control: keys that were never seen need room");
    assert_eq!(warm, 0);
}
