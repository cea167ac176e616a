//! How the engine stands at this moment, for the page and for scripts.

use crate::exchanged::degraded;
use crate::metrics::JournalState;
use crate::replication::{EngineStatus, ExchangeView};
use crate::server::admin::{Admin, checks};
use crate::state::Moment;
use serde_json::{Map, Value, json};

/// Entries of the rule sets' history that are shown.
const HISTORY: usize = 20;

/// Everything that is not counted by the second.
pub(super) fn now(admin: &Admin, moment: Moment) -> Value {
    let state = &admin.state;
    let position = state.position();
    let (flags, velocity, recent) =
        (state.stores.flags.size(state.now(moment)), state.stores.velocity.size(), state.recent.size());
    let indicators = state.stores.indicators.size(state.member(), state.now(moment));
    let checks: Map<String, Value> =
        checks(admin).into_iter().map(|(name, passed)| (name.to_owned(), passed.into())).collect();
    let staleness_ms = state.staleness_ms(moment);
    json!({
        "at_ms": moment.now.ms(),
        "version": env!("CARGO_PKG_VERSION"),
        "member": state.member().as_str(),
        "position": { "engine": position.engine, "epoch": position.epoch, "index": position.index },
        "ready": checks.values().all(|passed| *passed == true),
        "checks": checks,
        "budget_us": admin.budget_us,
        "staleness_ms": staleness_ms,
        "degraded": degraded(staleness_ms).names().collect::<Vec<_>>(),
        "journal": match admin.metrics.journal_state() {
            JournalState::Open => "open",
            JournalState::Full => "full",
            JournalState::Failed => "failed",
        },
        "rule_set": state.rules().as_ref().map(|active| {
            json!({ "digest": active.set.digest().to_string(), "rules": active.set.rules().len() })
        }),
        "flags": { "subjects": flags.subjects, "active": flags.active },
        "indicators": { "known": indicators.known, "acting": indicators.acting, "shared": indicators.shared },
        "velocity": { "keys": velocity.keys, "bytes": velocity.bytes },
        "recent": { "requests": recent.requests, "bytes": recent.bytes, "missed": recent.missed },
        "alerts": admin.alerts.json(),
        "decision_log": admin.log.as_ref().map(|log| {
            let size = log.size();
            json!({
                "written": size.written, "dropped": size.dropped, "gaps": size.gaps, "waiting": size.waiting,
                "bytes": size.bytes, "well": log.is_well(),
            })
        }),
        "recalls": admin.recalls.found(),
        "canary": state.canary.is_there().then(|| {
            let fates: Map<String, Value> = state.canary.fates().map(|(fate, n)| (fate.name().to_owned(), n.into())).collect();
            let last = state.canary.last();
            json!({
                "fates": fates, "last": last.map(|(_, fate)| fate.name()),
                "seconds_ago": last.map(|(at, _)| moment.now.ms_since(at) / 1_000),
            })
        }),
        "rules": rules(admin),
        "reload": admin.reloader.last().map(|report| {
            let (well, said) = match report.result {
                Ok((digest, rules)) => (true, format!("{rules} rules, digest {digest}, {} warnings", report.warnings)),
                Err(problem) => (false, problem),
            };
            json!({ "at": report.at.to_string(), "succeeded": well, "said": said })
        }),
        "history": admin.reloader.history().into_iter().take(HISTORY).collect::<Vec<_>>(),
        "exchange": state.exchange.is_networked().then(|| exchange(&state.exchange.view(), state.exchange.broker().as_deref())),
    })
}

/// Hits since the start, and what labels said of them.
fn rules(admin: &Admin) -> Value {
    let labels = admin.state.aftermath.rules();
    let line = |(id, hits): (String, crate::metrics::RuleHits)| {
        let known = labels.get(&id).copied().unwrap_or_default();
        let line = json!({
            "enforced": hits.enforced, "shadow": hits.shadow, "errors": hits.errors,
            "labelled": known.fraud + known.good, "precision": known.precision(),
        });
        (id, line)
    };
    admin.metrics.rule_hits().into_iter().map(line).collect::<Map<_, _>>().into()
}

fn exchange(view: &ExchangeView, broker: Option<&Vec<String>>) -> Value {
    let mut took: Vec<u64> = view.latencies().map(|(_, ms)| ms).collect();
    took.sort_unstable();
    let at = |share: f64| took.get(((took.len() as f64 - 1.0).max(0.0) * share) as usize);
    let engine = |engine: &EngineStatus| {
        json!({
            "engine": engine.of.to_string(), "own": engine.is_own, "live": engine.is_live,
            "heard_ms": engine.heard_ms, "behind_ms": engine.behind_ms,
            "held_back": engine.held.map(|held| format!("{held:?}")), "lacks": engine.lacks,
        })
    };
    json!({
        "linked": view.linked, "joined": view.joined, "waiting": view.waiting,
        "propagation_ms": { "p50": at(0.5), "p99": at(0.99), "max": took.last() },
        "engines": view.engines.iter().map(engine).collect::<Vec<_>>(),
        "broker": broker,
    })
}
