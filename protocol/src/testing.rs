//! What tests of every package share: where the test material lies, and how its absence is said.

use crate::codes::{AuthMethod, FlagReason, RequestedBy, Wish};
use crate::flag::{Methods, Scope, Terms};
use crate::time::Timestamp;
use std::path::PathBuf;

/// A file of the test material (`SPARR_TEST_DATA`, by default `../shared/data` beside the checkout).
///
/// Where it is missing this prints SKIPPED with what goes unproven and returns `None`; under `SPARR_NO_SKIP=1`,
/// which CI sets, it panics instead, so that a skipped test can never look like a passed one.
pub fn test_data(file: &str, unproven: &str) -> Option<PathBuf> {
    let beside_checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("SPARR_TEST_DATA").map_or_else(|| beside_checkout.into(), PathBuf::from);
    let path = root.join(file);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {file} under SPARR_TEST_DATA"), unproven);
    None
}

/// Says loudly that a test did not run, or fails it where skips are forbidden.
pub fn skipped(why: &str, unproven: &str) {
    let message = format!("SKIPPED ({why}): unproven: {unproven}");
    assert!(std::env::var_os("SPARR_NO_SKIP").is_none(), "{message}");
    // Past the test harness's capture, so that a skip is seen in every run.
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// A flag that declines everything, as the person asked for it.
pub fn denied(valid_until: Timestamp) -> Terms {
    Terms {
        wish: Wish::Deny,
        scope: Scope::Any,
        reason: FlagReason::SuspectedFraud,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default(),
        valid_until,
    }
}
