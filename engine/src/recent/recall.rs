//! Recall: requests that would be answered otherwise now, because of a flag, an indicator or a withdrawal that came after
//! them. It stops shipments.

use super::again::{Again, Answer, Windows};
use super::{Recorded, Touch};
use crate::request::Prefix;
use crate::state::{ActiveRules, State};
use hashbrown::HashMap;
use sparr_protocol::ids::{Pseudonym, RequestId};
use sparr_protocol::record::RecordKind;
use sparr_protocol::time::Timestamp;
use std::sync::Arc;

/// A request that would be answered otherwise now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The request.
    pub request_id: RequestId,
    /// The member's id of the payment, if it carries one.
    pub payment_id: Option<String>,
    /// When it was answered.
    pub answered_at: Timestamp,
    /// What was answered, or said in the last recall of it.
    pub was: Answer,
    /// What would be answered now.
    pub is: Answer,
    /// The record that made the difference.
    pub cause: RecordKind,
    /// When the difference was found.
    pub found_at: Timestamp,
}

/// Finds recalls, and remembers what it has said of which request.
#[derive(Default)]
pub struct Recaller {
    said: HashMap<RequestId, (Answer, Timestamp), foldhash::fast::RandomState>,
}

/// Requests whose last recall is remembered, before those that are gone are dropped.
const SAID_MAX: usize = 100_000;

impl Recaller {
    /// Looks through recent requests for those that the records touch, and decides these again.
    pub fn find(
        &mut self,
        touches: &[Touch],
        recent: &[Arc<Recorded>],
        state: &State,
        rules: &ActiveRules,
        now: Timestamp,
    ) -> Vec<Recall> {
        let touched = Lookup::of(touches);
        let mut again = Again::new(state, rules, Windows::Live(&state.stores.velocity));
        let mut found = Vec::new();
        for recorded in recent {
            let Some(cause) = touched.meets(recorded) else { continue };
            let request = recorded.request();
            let request_id = request.view().request_id();
            let was = self.said.get(&request_id).map_or_else(|| recorded.answer(), |(said, _)| *said);
            let is = again.decide(recorded, now);
            if is == was {
                continue;
            }
            self.said.insert(request_id, (is, recorded.answered_at()));
            let payment_id = request.view().payment_id().map(str::to_owned);
            let answered_at = recorded.answered_at();
            found.push(Recall { request_id, payment_id, answered_at, was, is, cause, found_at: now });
        }
        if self.said.len() > SAID_MAX {
            let oldest = recent.first().map_or(now, |oldest| oldest.answered_at());
            self.said.retain(|_, (_, answered_at)| *answered_at >= oldest);
        }
        found
    }
}

/// All values of many records at once: one pass over the requests serves an import.
struct Lookup<'a> {
    values: HashMap<Pseudonym, RecordKind, foldhash::fast::RandomState>,
    networks: Vec<(&'a Prefix, RecordKind)>,
}

impl<'a> Lookup<'a> {
    fn of(touches: &'a [Touch]) -> Self {
        let mut lookup = Self { values: HashMap::default(), networks: Vec::new() };
        for touch in touches {
            lookup.values.extend(touch.values.iter().map(|value| (*value, touch.kind)));
            lookup.networks.extend(touch.network.iter().map(|network| (network, touch.kind)));
        }
        lookup
    }

    /// The record that touches a request.
    fn meets(&self, recorded: &Recorded) -> Option<RecordKind> {
        let live = recorded.known().all();
        let value = live
            .flat_map(|(_, live)| live.iter().map(|(_, value)| value).collect::<Vec<_>>())
            .find_map(|value| self.values.get(&value).copied());
        value.or_else(|| {
            let address = (!self.networks.is_empty()).then(|| recorded.request().view().ip()).flatten()?;
            self.networks.iter().find(|(network, _)| network.covers(address)).map(|(_, kind)| *kind)
        })
    }
}
