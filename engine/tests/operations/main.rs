//! What somebody who runs an engine leans on: metrics, alerts, the terminal view, configuration, signals, packages.
//!
//! Some of it needs `prometheus` and `promtool` (Debian: `apt install prometheus`) or `systemd-analyze`; where they are missing
//! the tests say SKIPPED.

mod alerts;
mod canary;
mod metrics;
mod packages;
mod prometheus;
mod supervisor;
#[path = "../whole/support.rs"]
#[allow(dead_code, reason = "shared with the tests of single engines")]
mod support;
mod top;
mod traffic;
