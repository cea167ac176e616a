//! Work that gives way to screening: where a core has both to do, screening goes first.

use rustix::process::{Pid, setpriority_process};

/// The lowest of Linux's ordinary priorities: beside a thread of the usual one it gets a seventieth of a core, and an
/// idle core all the same. (The idle class below it would get next to nothing on a machine that is busy for long: a new
/// rule set would never be there.)
const LOWEST: i32 = 19;

/// A priority below the usual one: beside a thread of the usual one it gets a quarter of a core. For what somebody waits
/// for, and must be answered where others keep the cores busy.
const LOWER: i32 = 5;

/// Gives the calling thread a lower priority, for good. Where the system refuses, it stays as it is.
pub(super) fn stand_back() {
    // On Linux a priority belongs to a thread; no id stands for the calling one.
    let _ = setpriority_process(None::<Pid>, LOWER);
}

/// Gives the calling thread the lowest priority, for good: a thread that has lowered it may not raise it again. Where the
/// system refuses, it stays as it is.
pub(super) fn give_way() {
    // On Linux a priority belongs to a thread; no id stands for the calling one.
    let _ = setpriority_process(None::<Pid>, LOWEST);
}

/// Does something on a thread of its own with the lowest priority, and waits for it; the thread ends with its
/// work.
///
/// Where the system gives no thread or refuses the priority, the work is done all the same.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let (work, mut done) = (std::sync::Mutex::new(Some(work)), None);
    let take = || crate::metrics::lock(&work).take();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rules".to_owned()).spawn_scoped(scope, || {
            give_way();
            take().map(|work| work())
        });
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => done = result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => done = take().map(|work| work()),
        }
    });
    match done {
        Some(done) => done,
        None => unreachable!("the work was taken once, and done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_runs_at_the_lowest_priority_and_the_caller_keeps_its_own() {
        let own = || rustix::process::getpriority_process(None::<Pid>).expect("a priority");
        let before = own();
        assert_eq!(aside(own), LOWEST);
        assert_eq!(own(), before);
    }
}
