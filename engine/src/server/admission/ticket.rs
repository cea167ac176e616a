//! A connection's place among those that share its worker.

use super::{Admission, Pulse, Verdict};
use sparr_protocol::ids::Actor;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::yield_now;

/// A connection's place in its worker's admission, as long as it lives.
pub(in crate::server) struct Ticket {
    admission: Rc<RefCell<Admission>>,
    caller: usize,
    pulse: Pulse,
    /// Until when time has been accounted for.
    at: Instant,
}

/// A turn that no other connection of the caller has meanwhile.
pub(in crate::server) struct Alone(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Ticket {
    /// A place for a connection of a caller.
    pub(in crate::server) fn new(
        admission: &Rc<RefCell<Admission>>,
        actor: &Actor,
        pulse: Pulse,
        now: Instant,
    ) -> Self {
        let caller = admission.borrow_mut().shares.enter(actor);
        Self { admission: admission.clone(), caller, pulse, at: now }
    }

    /// Waits until a connection of a caller that crowds others may have its turn; for anybody else it is at once. Refusing
    /// what lies on sixteen connections takes several milliseconds, in which whoever else asks would wait.
    pub(in crate::server) async fn alone(&self) -> Option<Alone> {
        let turns = {
            let admission = self.admission.borrow();
            admission.crowds_others(self.caller).then(|| admission.shares.turns(self.caller))
        };
        // Nobody closes it.
        turns?.acquire_owned().await.ok().map(Alone)
    }

    /// Begins with what was read.
    pub(in crate::server) fn turn(&mut self, now: Instant) {
        self.at = now;
        self.admission.borrow_mut().turn(self.pulse.drained(), now);
    }

    /// Judges a request.
    pub(in crate::server) fn judge(&mut self, deadline_us: u32, spread: u32) -> Verdict {
        self.admission.borrow_mut().judge(self.caller, deadline_us, spread)
    }

    /// Says that a request was screened by now.
    pub(in crate::server) fn screened(&mut self, now: Instant) {
        let span = now.saturating_duration_since(self.at);
        self.at = now;
        self.admission.borrow_mut().took(self.caller, span);
    }

    /// Until when time has been accounted for: refusing is too quick for a look at the clock.
    pub(in crate::server) fn at(&self) -> Instant {
        self.at
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.borrow_mut().shares.leave(self.caller);
    }
}

impl Alone {
    /// Ends the turn when everybody else has had theirs: with the first of these the runtime looks at the socket, with the
    /// second what it has found there is read and answered.
    pub(in crate::server) async fn end(self) {
        yield_now().await;
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::clock;
    use std::time::Duration;
    use tokio::task::{LocalSet, spawn_local};

    const CONNECTIONS: usize = 16;
    const TURNS: usize = 50;

    /// The most turns that a caller with many connections has while another one waits for its next.
    fn most_turns_between(refused: bool) -> usize {
        let now = clock::instant();
        let admission = Rc::new(RefCell::new(Admission::new(Some(Duration::from_secs(1)), now)));
        let ticket = |name: &str| {
            let actor = Actor::parse_uri(&format!("sparr://member/shop/gateway/{name}")).expect("an actor");
            Ticket::new(&admission, &actor, Pulse::default(), now)
        };
        let (crowd, other) = ((0..CONNECTIONS).map(|_| ticket("crowd")).collect::<Vec<_>>(), ticket("other"));
        {
            let mut admission = admission.borrow_mut();
            for caller in [crowd[0].caller, other.caller] {
                admission.shares.asks(caller);
            }
            admission.shares.took(crowd[0].caller, Duration::from_millis(1));
            if refused {
                admission.shares.refused(crowd[0].caller);
            }
        }
        let had = Rc::new(RefCell::new((0, 0)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            for ticket in crowd {
                let had = had.clone();
                spawn_local(async move {
                    for _ in 0..TURNS {
                        let alone = ticket.alone().await;
                        had.borrow_mut().0 += 1;
                        match alone {
                            Some(alone) => alone.end().await,
                            None => yield_now().await,
                        }
                    }
                });
            }
            for _ in 0..TURNS {
                yield_now().await;
                let mut had = had.borrow_mut();
                had.1 = had.1.max(std::mem::take(&mut had.0));
            }
        });
        had.borrow().1
    }

    #[test]
    fn whoever_else_asks_waits_for_one_turn_of_a_crowd_and_not_for_one_of_each_of_its_connections() {
        assert_eq!(most_turns_between(true), 1);
        // The control: a caller of whom nothing was refused has all its turns.
        assert_eq!(most_turns_between(false), CONNECTIONS);
    }
}
