//! The machine, and what else it did during a run.

use serde_json::{Value, json};
use sparr_loadgen::machine::Ticks;

/// The machine in a few words.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(" unknown");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = model.trim_start_matches([' ', '\t', ':']).trim_end();
    let apart =
        if cores < 2 { "one core for all" } else { "whatever serves on one core, the generator on another" };
    format!("{cores} cores, {model}; {apart}; loopback")
}

/// When a run began.
pub(crate) struct Before {
    ticks: Option<Ticks>,
    work: Option<Work>,
    load: String,
}

/// Processor time in ticks: of everybody, and of this run with the processes that it has waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    all: u64,
    busy: u64,
    own: u64,
}

impl Work {
    fn now() -> Option<Self> {
        let read = |file| std::fs::read_to_string(file).ok();
        Self::of(&read("/proc/stat")?, &read("/proc/self/stat")?)
    }

    /// From the texts of proc(5).
    fn of(everybody: &str, this: &str) -> Option<Self> {
        let ticks = |text: &str| -> Vec<u64> {
            text.split_ascii_whitespace().map(|ticks| ticks.parse().unwrap_or(0)).collect()
        };
        // user, nice, system, idle, iowait, irq, softirq, steal.
        let of_all = ticks(everybody.lines().next()?.strip_prefix("cpu ")?);
        let all: u64 = of_all.iter().take(8).sum();
        let idle: u64 = of_all.get(3)? + of_all.get(4)?;
        // After the name, which may hold anything but ends with the last parenthesis: state, then numbers; the times
        // are the fields 14 to 17 of the whole.
        let of_this = ticks(this.rsplit_once(')')?.1);
        let own = of_this.get(11..15)?.iter().sum();
        Some(Self { all, busy: all - idle, own })
    }

    /// Share of all processor time since an earlier moment that went to others, percent.
    fn of_others_since(&self, earlier: &Self) -> f64 {
        let others = (self.busy - earlier.busy).saturating_sub(self.own - earlier.own);
        others as f64 / (self.all - earlier.all).max(1) as f64 * 100.0
    }
}

impl Before {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { ticks: Ticks::now(), work: Work::now(), load: load() }
    }

    /// What others took meanwhile.
    pub(crate) fn until_now(&self) -> Value {
        let stolen = Ticks::now().zip(self.ticks).map(|(after, before)| after.stolen_percent_since(&before));
        let others = Work::now().zip(self.work).map(|(after, before)| after.of_others_since(&before));
        json!({ "stolen_percent": stolen, "others_percent": others, "load_before": self.load, "load_after": load() })
    }
}

/// Load averages over 1, 5 and 15 minutes.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// For people.
pub(crate) fn text(noise: &Value) -> String {
    let share = |name: &str| {
        noise[name].as_f64().map_or_else(|| "unknown".to_owned(), |share| format!("{share:.1} %"))
    };
    let load = |when: &str| noise[when].as_str().unwrap_or_default().to_owned();
    format!(
        "of the processors others here took {}, the hypervisor {}; load average {} before and {} after (of which about two are the run's own)",
        share("others_percent"),
        share("stolen_percent"),
        load("load_before"),
        load("load_after")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_is_what_was_busy_without_this_run() {
        let everybody = |user, idle| format!("cpu  {user} 0 50 {idle} 10 0 0 5 0 0\ncpu0 1 1 1 1\n");
        let this = |user| format!("1 (a) name) S 1 1 1 0 -1 0 0 0 0 0 {user} 20 5 0 20 0 9 0 77\n");
        let before = Work::of(&everybody(100, 800), &this(30)).expect("read");
        let after = Work::of(&everybody(200, 1_000), &this(90)).expect("read");
        assert_eq!(before, Work { all: 965, busy: 155, own: 55 });
        assert_eq!(after.of_others_since(&before), 40.0 / 300.0 * 100.0);
        assert_eq!(Work::of("nothing", "here"), None);
    }
}
