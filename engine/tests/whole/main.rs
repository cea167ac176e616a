//! Tests of the whole, in one binary: real engines in processes of their own, and the repository itself.

mod certificates;
mod client;
mod dependencies;
mod doors;
mod durability;
mod durable_indicators;
mod exchange;
mod floor;
mod lists;
mod merge;
mod police_first;
mod privacy;
mod readme;
mod real_rows;
mod reload;
mod repeats;
mod required;
mod stopping;
mod support;
mod tidy;
mod verify;
