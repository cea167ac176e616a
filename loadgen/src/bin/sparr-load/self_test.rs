//! `sparr-load self-test`: whether the generator itself may be believed on this machine.

use crate::{Ended, Outcome, runtime};
use clap::Args;
use serde_json::json;
use sparr_loadgen::self_test::{self, ERROR_MAX, EVERY, PAUSE};

/// Arguments of `sparr-load self-test`.
#[derive(Args)]
pub(crate) struct SelfTestArgs {
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=2_000))]
    rate: u64,
    /// Seconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=60))]
    seconds: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures the stalling service with both loops.
pub(crate) fn run(args: &SelfTestArgs) -> Outcome {
    let found = runtime()?.block_on(self_test::run(args.rate, args.seconds))?;
    if args.json {
        println!(
            "{}",
            json!({
                "true_p99_ms": found.true_p99_ms, "open_p99_ms": found.open_p99_ms,
                "closed_p99_ms": found.closed_p99_ms, "error": found.error(), "passes": found.passes(),
            })
        );
    } else {
        println!(
            "A service that stops for {} ms before every {EVERY}th request, {} requests per second:",
            PAUSE.as_millis(),
            args.rate
        );
        println!("  p99 by calculation   {:>9.2} ms", found.true_p99_ms);
        println!(
            "  p99, open loop       {:>9.2} ms  ({:.1} % off)",
            found.open_p99_ms,
            found.error() * 100.0
        );
        println!("  p99, closed loop     {:>9.2} ms  (it sends nothing while it waits)", found.closed_p99_ms);
        let verdict = if found.passes() { "passed" } else { "FAILED" };
        println!("{verdict}: at most {:.0} % off is allowed", ERROR_MAX * 100.0);
    }
    Ok(if found.passes() { Ended::Fine } else { Ended::Findings })
}
