//! What is looked after now and then, off the decision path: idle keys, passes that are over, alarms.

use super::audit::Event;
use super::clock;
use super::lookups::Looking;
use crate::limits::PASS_MS_MAX;
use crate::state::State;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(10);

/// Forgets idle velocity keys and passes that are over now and then, off the decision path.
pub(super) fn keep_house(
    state: Arc<State>,
    looking: Arc<Looking>,
    people_alarm: u64,
    stopped: Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("housekeeping".to_owned()).spawn(move || {
        let (mut honey_before, mut today, mut alarmed) = (0, clock::moment().today, false);
        while stopped.recv_timeout(HOUSEKEEPING_EVERY) == Err(RecvTimeoutError::Timeout) {
            state.stores.velocity.forget(state.now(clock::moment()));
            if clock::moment().today != today {
                (today, alarmed) = (clock::moment().today, false);
                state.screened_people.reset();
            }
            let people = state.screened_people.estimate();
            if people >= people_alarm && !alarmed {
                alarmed = true;
                tracing::warn!(
                    people,
                    people_alarm,
                    "more different people were screened today than expected"
                );
            }
            // A desk that asked has its own line, in the log and in the audit.
            let honey = state.honey.touched().saturating_sub(looking.honey.load(Ordering::Relaxed));
            if honey > honey_before {
                let times = honey - honey_before;
                tracing::warn!(times, "payments of numbers that nobody was ever given were screened");
                // Where the audit has no room now, they are noted the next time.
                if looking.audit.note(Event::HoneyScreened { times }).is_ok() {
                    honey_before = honey;
                }
            }
            let day_before = state.now(clock::moment()).saturating_add_ms(-PASS_MS_MAX);
            state.stores.flags.passes.forget_before(day_before);
        }
    })
}
