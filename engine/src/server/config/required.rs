//! Fields that a kind of payment must carry to be screened.

use crate::policy::{Required, Requirement};
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

/// What each kind must carry unless the file says otherwise.
pub(super) const REQUIRED: &[(Kind, &[&str])] = &[
    (Kind::CardPayment, &["card_token|pan_digest"]),
    (Kind::Invoice, &["subject"]),
    (Kind::Transfer, &["payer_account", "payee_account"]),
    (Kind::Instant, &["payer_account", "payee_account"]),
    (Kind::AccountOpening, &["subject"]),
];
