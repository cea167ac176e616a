//! What one worker has answered in one go, copied end to end: nothing is worked out before the recorder has it.

use crate::facts::ActingFlag;
use crate::ids::CallerNo;
use crate::indicators::Evidence;
use crate::recent::{Fresh, Reads};
use crate::request::{About, Noted};
use crate::screen::Basis;
use crate::state::Moment;
use crate::velocity::Reading;
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;
use std::sync::Arc;

/// Requests that one worker has screened in one go.
#[derive(Default)]
pub(in crate::server) struct Batch {
    bytes: Vec<u8>,
    readings: Vec<Reading>,
    hits: Vec<u16>,
    silent: Vec<u16>,
    flags: Vec<ActingFlag>,
    indicators: Vec<(About, Evidence)>,
    rows: Vec<Row>,
    reads: Option<Arc<Reads>>,
    /// How many of them have a place in the decision log.
    pub(super) logged: usize,
}

/// Where the parts of a request end.
#[derive(Clone, Copy, Default)]
struct Ends {
    bytes: usize,
    readings: usize,
    hits: usize,
    silent: usize,
    flags: usize,
    indicators: usize,
}

/// One request: where its parts end, and its answer.
struct Row {
    ends: Ends,
    noted: Option<Noted>,
    enforced: usize,
    evaluated: bool,
    of_this_payment: bool,
    decided_at: Option<Timestamp>,
    is_logged: bool,
    moment: Moment,
    caller: CallerNo,
    response: AuthorisationResponse,
}

impl Batch {
    /// Adds a request that was just answered; `is_logged` says that it has a place in the decision log.
    pub(in crate::server) fn push(&mut self, fresh: &Fresh<'_>, is_logged: bool) {
        self.bytes.extend_from_slice(fresh.message);
        self.readings.extend_from_slice(fresh.readings);
        self.hits.extend_from_slice(fresh.hits);
        self.silent.extend_from_slice(fresh.silent);
        let basis = fresh.basis.filter(|basis| basis.evaluated);
        if let Some(basis) = basis {
            self.flags.extend_from_slice(&basis.flags);
            self.indicators.extend_from_slice(&basis.indicators);
        }
        if self.reads.is_none() {
            self.reads = fresh.reads.cloned();
        }
        self.logged += usize::from(is_logged);
        let mut response = fresh.response;
        if fresh.message.is_empty() {
            // Of what is no request nobody knows what its first bytes are: they are not kept as an id.
            response.request_id = RequestId::UNREADABLE;
        }
        self.rows.push(Row {
            ends: Ends {
                bytes: self.bytes.len(),
                readings: self.readings.len(),
                hits: self.hits.len(),
                silent: self.silent.len(),
                flags: self.flags.len(),
                indicators: self.indicators.len(),
            },
            noted: fresh.noted.copied(),
            enforced: fresh.enforced,
            evaluated: basis.is_some(),
            of_this_payment: basis.is_some_and(|basis| basis.of_this_payment),
            decided_at: basis.and_then(|basis| basis.now),
            is_logged,
            moment: fresh.moment,
            caller: fresh.caller,
            response,
        });
    }

    /// How many requests, and when the last of them was answered.
    pub(super) fn size(&self) -> (u64, Option<Timestamp>) {
        (self.rows.len() as u64, self.rows.last().map(|row| row.moment.now))
    }

    /// Forgets everything, and keeps its memory.
    pub(super) fn clear(&mut self) {
        let Self { bytes, readings, hits, silent, flags, indicators, rows, reads, logged } = self;
        bytes.clear();
        readings.clear();
        hits.clear();
        silent.clear();
        flags.clear();
        indicators.clear();
        rows.clear();
        (*reads, *logged) = (None, 0);
    }

    /// Whether there is nothing in it.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn each(&self, mut take: impl FnMut(&Fresh<'_>, bool)) {
        let (mut from, mut basis) = (Ends::default(), Basis::default());
        for row in &self.rows {
            let to = row.ends;
            basis.evaluated = row.evaluated;
            (basis.now, basis.of_this_payment) = (row.decided_at, row.of_this_payment);
            basis.flags.clear();
            basis.flags.extend_from_slice(&self.flags[from.flags..to.flags]);
            basis.indicators.clear();
            basis.indicators.extend_from_slice(&self.indicators[from.indicators..to.indicators]);
            let fresh = Fresh {
                message: &self.bytes[from.bytes..to.bytes],
                moment: row.moment,
                caller: row.caller,
                response: row.response,
                noted: row.noted.as_ref(),
                readings: &self.readings[from.readings..to.readings],
                hits: &self.hits[from.hits..to.hits],
                enforced: row.enforced,
                silent: &self.silent[from.silent..to.silent],
                basis: Some(&basis),
                reads: self.reads.as_ref(),
            };
            take(&fresh, row.is_logged);
            from = to;
        }
    }
}
