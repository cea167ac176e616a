//! The end of the log, replayed into the windows of velocity after a kill: what the snapshot of them does not hold.

use super::segment::{self, Found, Reader, folder};
use crate::decisions::Entry;
use crate::facts::Gathering;
use crate::facts::Wanted;
use crate::facts::windows::{self, Keys};
use crate::state::State;
use crate::velocity::Reading;
use crate::velocity::spec::Mark;
use sparr_protocol::codes::Outcome;
use sparr_protocol::time::Timestamp;
use std::io;
use std::path::Path;

/// How far the log reaches, from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Reach {
    /// The last moment from which there is anything: what came after it is missing.
    pub(in crate::server) until: Timestamp,
    /// Whether nothing is missing between that time and that moment.
    pub(in crate::server) is_whole: bool,
}

/// How far the log reaches from a time on; none where there is no log.
pub(in crate::server) fn reach(
    data_dir: &Path,
    key: &[u8; 32],
    since: Timestamp,
) -> io::Result<Option<Reach>> {
    let mut reach = Reach { until: since, is_whole: true };
    let began_before = each(data_dir, key, since, |found| match found {
        Part::Batch(last) => reach.until = reach.until.max(last),
        Part::Entry(entry) => match Entry::glance(entry) {
            Some(_) => {}
            None => {
                let is_gap = |entry| matches!(entry, Some(Entry::Gap(gap)) if gap.until >= since);
                reach.is_whole &= !is_gap(Entry::read(entry));
            }
        },
        Part::Damage => reach.is_whole = false,
    })?;
    Ok(began_before.map(|began_before| Reach { is_whole: reach.is_whole && began_before, ..reach }))
}

/// Observes the logged requests since a time again, by the active rule set, and gives back how many. What was observed before
/// is observed once.
pub(in crate::server) fn replay(
    data_dir: &Path,
    key: &[u8; 32],
    since: Timestamp,
    state: &State,
) -> io::Result<u64> {
    let rules = state.rules();
    let Some(active) = rules.as_deref() else { return Ok(0) };
    let wanted = Wanted {
        plan: active.set.plan(),
        observed_since: &active.observed_since,
        rates: active.set.rates(),
        zone: active.set.zone(),
        began: Timestamp::MIN,
    };
    let mut readings = vec![Reading::Absent; wanted.plan.readings()];
    let mut requests = 0;
    each(data_dir, key, since, |found| {
        let Part::Entry(entry) = found else { return };
        let Some(Entry::Decision(logged)) = Entry::read(entry) else { return };
        let (Some(request), Some(_)) = (&logged.request, &logged.basis) else { return };
        if logged.answered_at < since {
            return;
        }
        let request = request.request();
        let (velocity, keyring) = ((&state.stores.velocity, Gathering::Observe), &state.keyring);
        let keys = &mut Keys::default();
        windows::read(&request, &wanted, keyring, velocity, keys, &mut readings, |_, _, _| {});
        if logged.response.answer.is_ok_and(|decided| decided.outcome == Outcome::Decline) {
            let key = |name| request.key(name, keyring);
            let mark = (Mark::DeclinedBySparr, true);
            windows::mark_request(&request, key, wanted.plan, &state.stores, mark);
        }
        requests += 1;
    })?;
    Ok(requests)
}

/// What lies in the log.
enum Part<'a> {
    /// A batch, whose last entry was made then.
    Batch(Timestamp),
    Entry(&'a [u8]),
    Damage,
}

/// Everything since a time. Gives back whether the log began before it; none where there is no log.
fn each(
    data_dir: &Path,
    key: &[u8; 32],
    since: Timestamp,
    mut take: impl FnMut(Part<'_>),
) -> io::Result<Option<bool>> {
    let folder = folder(data_dir);
    let mut began_before = None;
    for number in segment::numbers(&folder)? {
        let Some(mut reader) = Reader::open(&folder, number, key)? else {
            take(Part::Damage);
            continue;
        };
        began_before = Some(began_before.unwrap_or(false) || reader.head.began <= since);
        while let Some(found) = reader.next(|batch| batch.last >= since)? {
            match found {
                Found::Batch(_, head, body) => {
                    take(Part::Batch(head.last));
                    segment::entries(body).for_each(|(_, entry)| take(Part::Entry(entry)));
                }
                Found::Damage(_) => take(Part::Damage),
                // The end of a life that was killed: what is missing there is what comes after the last batch.
                Found::Unfinished => {}
            }
        }
    }
    Ok(began_before)
}
