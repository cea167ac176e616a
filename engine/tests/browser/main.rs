//! What operators see, in a real Chromium that these tests drive.
//!
//! They need `chromedriver` and `chromium` (Debian: `apt install chromium-driver`) on the path, and say so where they are
//! missing. Screenshots are left in `target/tmp`.

mod browser;
mod dashboard;
#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
