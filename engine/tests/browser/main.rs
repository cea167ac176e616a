//! What operators see, in a real Chromium that these tests drive.
//!
//! They need `chromedriver` and `chromium` (Debian: `apt install chromium-driver`) on the path, and say so where they are
//! missing. Screenshots are left in `target/tmp`.

#[path = "../nats/broker.rs"]
#[allow(dead_code, reason = "shared with the tests of an exchange")]
mod broker;
mod browser;
mod dashboard;
mod desk;
#[path = "../https/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the HTTPS door")]
mod door;
#[path = "../nats/engines.rs"]
#[allow(dead_code, reason = "shared with the tests of an exchange")]
mod engines;
mod lent;
#[path = "../nats/relay.rs"]
#[allow(dead_code, reason = "shared with the tests of an exchange")]
mod relay;
#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
#[path = "../operations/traffic.rs"]
mod traffic;
