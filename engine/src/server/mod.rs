//! The shell: sockets, files, threads, clocks. Only here, and in the command line above it.

mod admin;
pub(crate) mod alerts;
pub mod audit;
mod blast;
pub mod caller;
pub mod clock;
pub mod config;
mod connection;
mod credentials;
mod dashboard;
pub mod decision_log;
mod dev;
mod engine;
mod exchange;
mod housekeeping;
pub mod journal;
pub mod keys;
mod lane;
#[cfg(feature = "nats")]
pub mod link;
mod listing;
mod lookups;
mod membership;
mod page;
mod planted;
mod polite;
mod recorder;
mod reload;
mod replication;
mod rule_store;
mod rules_desk;
pub(crate) mod shipped;
pub mod snapshots;
pub mod sources;
mod standing;
pub mod supervisor;
pub mod transport;
mod velocity;
mod velocity_file;
pub mod verify;
mod watch;
mod worker;

pub use engine::{ADDRESS_FILE, Engine, StartError};
pub use reload::Report;
