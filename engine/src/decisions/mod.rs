//! An answer as the decision log keeps it: the request in pseudonyms, what it was decided on, and what was answered.
//!
//! It holds whatever deciding it again needs beside the rule set, so that a decision can be proved and explained for as long
//! as it is kept: readings, flags and indicators as they were. What a person alone should know was rewritten before; see
//! [`crate::request::rewritten`].

mod entry;
mod pack;
mod rerun;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use entry::DECISION;
pub use entry::{Entry, Gap, GapWhy};
pub use rerun::{Rerun, explain, rerun};

use crate::decision::VerifyUnavailable;
use crate::facts::ActingFlag;
use crate::indicators::Evidence;
use crate::pack::Pack;
use crate::recent::{Fresh, Recorded};
use crate::request::{About, Known, Request};
use crate::velocity::Reading;
use sparr_protocol::ids::MemberName;
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::time::Timestamp;

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// When it was given, by the machine's clock.
    pub answered_at: Timestamp,
    /// The answer, as it was sent.
    pub response: AuthorisationResponse,
    /// The request; none where the message was no request at all.
    pub request: Option<LoggedRequest>,
    /// What it was decided on; none where no rule was asked, and for an answer that was given a second time.
    pub basis: Option<LoggedBasis>,
}

/// A request in pseudonyms.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedRequest {
    message: Vec<u8>,
    known: Known,
}

/// What a request was decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedBasis {
    /// When, by the engine's clock.
    pub now: Timestamp,
    /// Whether its authentication answered a challenge of this very payment.
    pub of_this_payment: bool,
    /// What the member wanted done where nobody can be asked.
    pub verify_unavailable: VerifyUnavailable,
    /// The flags that acted on it.
    pub flags: Vec<ActingFlag>,
    /// What rules found of indicators on its values.
    pub indicators: Vec<(About, Evidence)>,
    /// What it read of windows, by place in the plan of the rule set.
    pub readings: Vec<Reading>,
    /// Places of the enforced rules that hit.
    pub enforced: Vec<u16>,
    /// Places of the shadow rules that hit.
    pub shadow: Vec<u16>,
    /// Places of the rules that exemptions silenced.
    pub silent: Vec<u16>,
}

impl LoggedRequest {
    /// The request.
    ///
    /// # Panics
    /// Never: an entry whose message does not read back is none.
    pub fn request(&self) -> Request<'_> {
        let Some(request) = Request::known(&self.message, &self.known) else {
            unreachable!("it was read back when the entry was")
        };
        request
    }

    /// The pseudonyms of its values.
    pub fn known(&self) -> &Known {
        &self.known
    }
}

impl Logged {
    /// Appends an answer that was just given, without making anything of it in between.
    pub fn append(
        fresh: &Fresh<'_>,
        recorded: Option<&Recorded>,
        verify_unavailable: VerifyUnavailable,
        out: &mut Vec<u8>,
    ) {
        fresh.moment.now.pack(out);
        pack::response(&fresh.response, out);
        recorded.is_some().pack(out);
        if let Some(recorded) = recorded {
            pack::bytes(recorded.message(), out);
            recorded.known().pack(out);
        }
        let basis = fresh.basis.filter(|basis| basis.evaluated && recorded.is_some());
        basis.is_some().pack(out);
        if let Some(basis) = basis {
            basis.now.unwrap_or(fresh.moment.now).pack(out);
            basis.of_this_payment.pack(out);
            verify_unavailable.pack(out);
            pack::list(&basis.flags, out);
            pack::list(&basis.indicators, out);
            pack::readings(fresh.readings, out);
            let (enforced, shadow) = fresh.hits.split_at(fresh.enforced.min(fresh.hits.len()));
            pack::list(enforced, out);
            pack::list(shadow, out);
            pack::list(fresh.silent, out);
        }
    }

    /// Members whose flags or indicators were involved, each once.
    pub fn members(&self) -> Vec<MemberName> {
        let Some(basis) = &self.basis else { return Vec::new() };
        let flags = basis.flags.iter().map(|flag| flag.registrar);
        let found = basis.indicators.iter().filter_map(|(_, evidence)| Some(evidence.strongest?.1));
        let mut members: Vec<MemberName> = flags.chain(found).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}
