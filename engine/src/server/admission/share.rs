//! What each caller has had of a worker lately.

use sparr_protocol::ids::Actor;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the callers of one worker have had. A caller is who its certificate names, over however many connections.
#[derive(Default)]
pub(super) struct Shares {
    callers: Vec<Share>,
    /// What all have had lately.
    total: Duration,
    /// Callers that asked for something in the last epoch.
    active: u32,
}

struct Share {
    /// Nobody's where all its connections have gone.
    actor: Option<Actor>,
    connections: usize,
    had: Duration,
    asked: bool,
    is_active: bool,
    /// Epochs for which it is remembered that something of it was refused.
    refused: u8,
    /// Has one permit: the turns of a caller that crowds others.
    turns: Arc<Semaphore>,
}

/// Epochs that a refusal is remembered, the one in which it was included.
const REFUSED_REMEMBERED: u8 = 2;

impl Shares {
    /// The place of a caller, for one more connection.
    pub(super) fn enter(&mut self, actor: &Actor) -> usize {
        let known = self.callers.iter().position(|share| share.actor.as_ref() == Some(actor));
        let at = known.or_else(|| self.callers.iter().position(|share| share.actor.is_none()));
        let at = at.unwrap_or_else(|| {
            let (connections, had) = (0, Duration::ZERO);
            let (asked, is_active, refused) = (false, false, 0);
            let turns = Arc::new(Semaphore::new(1));
            self.callers.push(Share { actor: None, connections, had, asked, is_active, refused, turns });
            self.callers.len() - 1
        });
        let share = &mut self.callers[at];
        (share.actor, share.connections) = (Some(actor.clone()), share.connections + 1);
        at
    }

    /// Gives a connection's place back. What the caller has had is remembered until it has faded: connecting again is no way
    /// to another share.
    pub(super) fn leave(&mut self, at: usize) {
        self.callers[at].connections -= 1;
    }

    /// A caller asks for something. With each that joins the others all begin anew: who had the worker to itself has taken
    /// nothing from somebody who was not there.
    pub(super) fn asks(&mut self, at: usize) {
        let share = &mut self.callers[at];
        share.asked = true;
        if !share.is_active {
            share.is_active = true;
            self.active += 1;
            self.total = Duration::ZERO;
            self.callers.iter_mut().for_each(|share| share.had = Duration::ZERO);
        }
    }

    /// A caller was served for so long.
    pub(super) fn took(&mut self, at: usize, span: Duration) {
        self.callers[at].had += span;
        self.total += span;
    }

    /// Whether a caller has had less than an equal share of what all who ask have had.
    pub(super) fn has_had_less(&self, at: usize) -> bool {
        let had = self.callers[at].had;
        had.is_zero() || had * self.active < self.total
    }

    /// Something of a caller was refused.
    pub(super) fn refused(&mut self, at: usize) {
        self.callers[at].refused = REFUSED_REMEMBERED;
    }

    /// Whether a caller has lately asked for more than there was room for, while others ask as well.
    pub(super) fn crowds_others(&self, at: usize) -> bool {
        self.active > 1 && self.callers[at].refused > 0
    }

    /// The turns of a caller, for its connections to have one by one.
    pub(super) fn turns(&self, at: usize) -> Arc<Semaphore> {
        self.callers[at].turns.clone()
    }

    /// Half of what was had is forgotten, and who did not ask lately.
    pub(super) fn fade(&mut self) {
        (self.total, self.active) = (Duration::ZERO, 0);
        for share in &mut self.callers {
            share.had = if share.had < Duration::from_micros(1) { Duration::ZERO } else { share.had / 2 };
            share.is_active = std::mem::take(&mut share.asked);
            share.refused = share.refused.saturating_sub(1);
            self.total += share.had;
            self.active += u32::from(share.is_active);
            if share.connections == 0 && share.had.is_zero() {
                share.actor = None;
            }
        }
    }

    /// The control of a test: what it is like when no refusal is remembered.
    #[cfg(test)]
    pub(super) fn forget_refusals(&mut self) {
        self.callers.iter_mut().for_each(|share| share.refused = 0);
    }
}
