//! What an answer looks like to a caller in C: a plain struct, fixed in size, whose texts are static.

use sparr_protocol::client::{CallError, Fallback, Verdict};
use sparr_protocol::codes::{Outcome, Review};
use sparr_protocol::ids::RequestId;
use sparr_protocol::response::{AuthorisationResponse, Why};
use std::ffi::{CStr, c_char};
use std::fmt::Write as _;
use std::ptr::null;

/// Reasons in an answer at most.
pub const SPARR_REASONS_MAX: usize = 8;

/// An answer to one request. Where the engine decided, `outcome` and `review` are texts and `fallback` is NULL; where it
/// did not, it is the other way round, and `fallback` is what the caller's own policy says, or `decline` where not even a request
/// was there. One of the two is always there, once a call has been made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sparr_answer {
    /// 32 hexadecimal digits and an end; empty where there was no request.
    pub request_id: [c_char; 33],
    /// `approve`, `challenge` or `decline`; NULL where the engine did not decide. Approve means "no objection".
    pub outcome: *const c_char,
    /// `none`, `after` or `hold`, beside the outcome; NULL where the engine did not decide.
    pub review: *const c_char,
    /// What to do where the engine did not decide: `approve`, `challenge`, `hold` or `decline`; NULL where it did.
    pub fallback: *const c_char,
    /// Why the engine did not decide, such as `identity_malformed`; NULL where it did or did not answer.
    pub not_screened: *const c_char,
    /// Why there was no answer: `timeout`, `unreachable`, `refused`, `connection_lost`, `too_large`, `id_twice`,
    /// `too_many`, `unreadable`, `closed`, `null_argument` or `panic`; NULL where there was one.
    pub error: *const c_char,
    /// The field at fault, such as `subject`; NULL where none is.
    pub field: *const c_char,
    /// Until when a hold is asked for, milliseconds since 1970; 0 where nothing was said.
    pub hold_until_ms: i64,
    /// Which state the answer was made on: how many records the engine had applied.
    pub position_index: u64,
    /// Which life of the engine.
    pub position_epoch: u32,
    /// Sum of the scores of the rules that hit.
    pub score: i32,
    /// In which ways the answer is worth less than usual: the bits of `degraded` in WIRE.md.
    pub degraded: u32,
    /// Age of the exchange state behind the answer, milliseconds.
    pub staleness_ms: u32,
    /// When another try makes sense, milliseconds; 0 where nothing was said.
    pub retry_after_ms: u32,
    /// Microseconds that the engine took.
    pub engine_us: u32,
    /// Numbers of the reasons, first by precedence: `sparr_reason_name` has their names.
    pub reasons: [u16; SPARR_REASONS_MAX],
    /// How many there are.
    pub reasons_len: u8,
    /// 1 where the same request may be sent again with the same id, 0 where it makes no sense.
    pub retryable: u8,
    /// Which engine of the member.
    pub position_engine: u16,
    /// Digest of the rule set that decided: 32 hexadecimal digits and an end.
    pub rule_set_digest: [c_char; 33],
}

/// Why there was no answer, by its stable name.
fn error_name(error: &CallError) -> &'static CStr {
    use sparr_protocol::client::ConnectError;
    match error {
        CallError::Timeout(_) => c"timeout",
        CallError::Connect(ConnectError::Unreachable(_)) => c"unreachable",
        CallError::Connect(
            ConnectError::Certificate(_)
            | ConnectError::Socket(_)
            | ConnectError::EngineNotTrusted { .. }
            | ConnectError::Refused { .. },
        ) => c"refused",
        CallError::ConnectionLost(_) => c"connection_lost",
        CallError::Encode(_) => c"too_large",
        CallError::InFlight => c"id_twice",
        CallError::TooManyInFlight(_) => c"too_many",
        CallError::Unreadable(_) => c"unreadable",
    }
}

/// Whether sending again may help.
fn may_help(error: &CallError) -> bool {
    match error {
        CallError::Timeout(_)
        | CallError::Connect(_)
        | CallError::ConnectionLost(_)
        | CallError::InFlight
        | CallError::TooManyInFlight(_) => true,
        CallError::Encode(_) | CallError::Unreadable(_) => false,
    }
}

fn fallback_name(fallback: Fallback) -> &'static CStr {
    match fallback {
        Fallback::Approve => c"approve",
        Fallback::Challenge => c"challenge",
        Fallback::Hold => c"hold",
        Fallback::Decline => c"decline",
    }
}

/// A static text with an end, for names that the protocol has without one. Every name is made once and stays.
pub(crate) fn name(text: &'static str) -> *const c_char {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};
    static NAMES: LazyLock<Mutex<HashMap<&'static str, &'static CStr>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let made = names.entry(text).or_insert_with(|| {
        let owned = std::ffi::CString::new(text).unwrap_or_default();
        Box::leak(owned.into_boxed_c_str())
    });
    made.as_ptr()
}

fn digits(text: &impl std::fmt::Display) -> [c_char; 33] {
    let mut written = String::with_capacity(32);
    // Writing to a string cannot fail.
    let _ = write!(written, "{text}");
    let mut digits = [0; 33];
    for (slot, byte) in digits.iter_mut().zip(written.bytes().take(32)) {
        *slot = byte as c_char;
    }
    digits
}

impl sparr_answer {
    /// Nothing was answered: what every answer is before it is filled in.
    pub(crate) const fn none(error: &'static CStr, fallback: Option<Fallback>) -> Self {
        let fallback = match fallback {
            Some(Fallback::Approve) => c"approve",
            Some(Fallback::Challenge) => c"challenge",
            Some(Fallback::Hold) => c"hold",
            // Where nobody can say what kind of payment it was, no policy lets it pass.
            Some(Fallback::Decline) | None => c"decline",
        };
        Self {
            request_id: [0; 33],
            outcome: null(),
            review: null(),
            fallback: fallback.as_ptr(),
            not_screened: null(),
            error: error.as_ptr(),
            field: null(),
            hold_until_ms: 0,
            position_index: 0,
            position_epoch: 0,
            score: 0,
            degraded: 0,
            staleness_ms: 0,
            retry_after_ms: 0,
            engine_us: 0,
            reasons: [0; SPARR_REASONS_MAX],
            reasons_len: 0,
            retryable: 0,
            position_engine: 0,
            rule_set_digest: [0; 33],
        }
    }

    /// What the client came to.
    pub(crate) fn of(id: RequestId, verdict: &Verdict) -> Self {
        let mut answer = Self::none(c"closed", None);
        answer.request_id = digits(&id);
        match verdict {
            Verdict::Screened(response) => answer.fill(response),
            Verdict::NotScreened { not_screened, fallback } => {
                answer.error = null();
                answer.not_screened = name(Why::name(not_screened.why));
                answer.field = not_screened.field.map_or(null(), |field| name(field.name()));
                answer.retryable = not_screened.why.retryable().into();
                answer.retry_after_ms = not_screened.retry_after_ms;
                answer.fallback = fallback_name(*fallback).as_ptr();
            }
            Verdict::NoAnswer { error, fallback } => {
                answer.error = error_name(error).as_ptr();
                answer.retryable = may_help(error).into();
                answer.fallback = fallback_name(*fallback).as_ptr();
            }
        }
        answer
    }

    fn fill(&mut self, response: &AuthorisationResponse) {
        let Ok(decided) = &response.answer else { return };
        (self.error, self.fallback) = (null(), null());
        self.outcome = name(Outcome::name(decided.outcome));
        self.review = name(Review::name(decided.review));
        self.score = decided.score;
        self.hold_until_ms = decided.hold_until.map_or(0, |until| until.ms());
        for (slot, reason) in self.reasons.iter_mut().zip(decided.reasons.iter()) {
            *slot = reason.0;
            self.reasons_len += 1;
        }
        self.degraded = response.degraded.bits();
        self.staleness_ms = response.staleness_ms;
        self.engine_us = response.engine_us;
        self.rule_set_digest = digits(&response.rule_set_digest);
        self.position_engine = response.position.engine;
        self.position_epoch = response.position.epoch;
        self.position_index = response.position.index;
    }
}
