//! What the machine did meanwhile: processor time of threads, time that a hypervisor took away, pinning.
//!
//! All of it comes from Linux's `/proc`; elsewhere the figures are absent, never zero.

use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use std::fs;

/// Threads of a process whose names begin with a word: their ids.
pub fn threads(process: Option<u32>, prefix: &str) -> Vec<u32> {
    let tasks = match process {
        Some(process) => format!("/proc/{process}/task"),
        None => "/proc/self/task".to_owned(),
    };
    let entries = fs::read_dir(&tasks).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        fs::read_to_string(format!("{tasks}/{id}/comm")).is_ok_and(|name| name.starts_with(prefix))
    })
    .collect()
}

/// Processor time that threads of a process have used, ns. `None` where the system does not say.
pub fn cpu_ns(process: Option<u32>, prefix: &str) -> Option<u64> {
    let tasks = process.map_or_else(|| "/proc/self/task".to_owned(), |id| format!("/proc/{id}/task"));
    let of_thread = |id: u32| {
        let text = fs::read_to_string(format!("{tasks}/{id}/schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    let ids = threads(process, prefix);
    if ids.is_empty() { None } else { ids.into_iter().map(of_thread).sum() }
}

/// Time that the hypervisor gave to others, and all time, of all cores since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    /// As of now.
    pub fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let cpu = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = cpu.split_ascii_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal (proc(5)); guests are counted in user.
        Some(Self { stolen: *ticks.get(7)?, all: ticks.iter().take(8).sum() })
    }

    /// Share of the time since an earlier moment that was stolen, percent.
    pub fn stolen_percent_since(&self, earlier: &Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64 * 100.0
    }
}

/// Keeps a thread on one core. `None` stands for the calling thread. Says whether the system allowed it.
pub fn pin(thread: Option<u32>, core: usize) -> bool {
    let mut cores = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return false;
    }
    cores.set(core);
    let thread = thread.and_then(|id| Pid::from_raw(id as i32));
    sched_setaffinity(thread, &cores).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work_and_unknown_threads_have_none() {
        let Some(before) = cpu_ns(None, "") else { return };
        let mut sum = 0u64;
        (0..50_000_000u64).for_each(|number| sum = std::hint::black_box(sum ^ number));
        assert!(cpu_ns(None, "").is_some_and(|after| after > before));
        assert_eq!(cpu_ns(None, "no thread is called this"), None);
    }

    #[test]
    fn a_share_of_stolen_time_is_of_all_cores() {
        let (before, after) = (Ticks { stolen: 10, all: 1_000 }, Ticks { stolen: 15, all: 1_200 });
        assert_eq!(after.stolen_percent_since(&before), 2.5);
    }
}
