//! Tests of the whole, in one binary: real engines in processes of their own, and the repository itself.

mod backtest;
mod certificates;
mod client;
mod demo;
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
mod rule_commands;
mod rule_sets;
mod stopping;
mod support;
mod tidy;
mod verify;
