//! What a kind of payment must carry to be screened, and how old the exchange's state may be.

use crate::policy::{Required, Requirement, StaleAfter};
use sparr_protocol::codes::Kind;
use std::collections::BTreeMap;

pub(super) fn required(written: BTreeMap<String, Vec<String>>, dev: bool) -> Result<Required, Vec<String>> {
    let mut required = Required::default();
    let mut errors = Vec::new();
    if !dev && written.is_empty() {
        for (kind, fields) in REQUIRED {
            // The defaults are written by hand below; a test parses them.
            let parsed: Vec<_> = fields.iter().filter_map(|text| Requirement::parse(text).ok()).collect();
            required.set(*kind, parsed);
        }
    }
    for (name, fields) in written {
        let Some(kind) = Kind::parse(&name) else {
            errors.push(format!("required: no kind is called {name:?}"));
            continue;
        };
        let (good, bad): (Vec<_>, Vec<_>) =
            fields.iter().map(|text| Requirement::parse(text)).partition(Result::is_ok);
        errors
            .extend(bad.into_iter().filter_map(Result::err).map(|error| format!("required.{name}: {error}")));
        required.set(kind, good.into_iter().flatten().collect());
    }
    if errors.is_empty() { Ok(required) } else { Err(errors) }
}

/// From which age of the exchange's state on a kind is not screened.
pub(super) fn stale_after(written: BTreeMap<String, u32>) -> Result<StaleAfter, Vec<String>> {
    let mut stale_after = StaleAfter::default();
    let mut errors = Vec::new();
    for (name, ms) in written {
        match Kind::parse(&name) {
            // Heartbeats go out ten times a second: less is never met.
            Some(kind) if ms >= STALE_AFTER_MS_MIN => stale_after.set(kind, ms),
            Some(_) => errors.push(format!("stale_after_ms.{name}: {ms} is less than {STALE_AFTER_MS_MIN}")),
            None => errors.push(format!("stale_after_ms: no kind is called {name:?}")),
        }
    }
    if errors.is_empty() { Ok(stale_after) } else { Err(errors) }
}

const STALE_AFTER_MS_MIN: u32 = 500;

/// What each kind must carry unless the file says otherwise.
pub(super) const REQUIRED: &[(Kind, &[&str])] = &[
    (Kind::CardPayment, &["card_token|pan_digest"]),
    (Kind::Invoice, &["subject"]),
    (Kind::Transfer, &["payer_account", "payee_account"]),
    (Kind::Instant, &["payer_account", "payee_account"]),
    (Kind::AccountOpening, &["subject"]),
];
