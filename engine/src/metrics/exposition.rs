//! The page that Prometheus reads: every metric of the list below, and no other.

use super::list::*;
use super::native::Native;
use super::{CallerCounts, Metrics, Rejected, lock};
use crate::screen::Stage;
use crate::server::alerts::Board;
use crate::server::decision_log::{DecisionLogSize, Gate};
use crate::state::{Moment, State};
use crate::velocity::KeySize;
use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use sparr_protocol::exchange::{OperationKind, Refusal};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bounds of the classic histograms, seconds: 5 µs to 10 ms around the budget of a decision.
const DECISION_BOUNDS: &[f64] = &[5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2];
/// Bounds for what waits for a disk, seconds.
const DISK_BOUNDS: &[f64] = &[1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 1.0];

/// Reads everything at each scrape.
struct Exposition {
    metrics: Arc<Metrics>,
    state: Arc<State>,
    log: Option<Arc<Gate>>,
    alerts: Arc<Board>,
    moment: fn() -> Moment,
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

/// A registry whose encoding is the whole metrics page.
pub(crate) fn registry(
    metrics: Arc<Metrics>,
    state: Arc<State>,
    log: Option<Arc<Gate>>,
    alerts: Arc<Board>,
    moment: fn() -> Moment,
) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition { metrics, state, log, alerts, moment }));
    registry
}

/// Labels of one line.
type Labels = Vec<(&'static str, String)>;

/// One label.
fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// Writes metrics one after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn start(&mut self, metric: &MetricDef, kind: MetricType) -> Result<MetricEncoder<'_>, fmt::Error> {
        // The format adds `_total` to a counter's lines itself.
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        self.0.encode_descriptor(name, metric.help, None, kind)
    }

    fn counter(&mut self, metric: &MetricDef, lines: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut encoder = self.start(metric, MetricType::Counter)?;
        for (labels, value) in lines {
            if labels.is_empty() {
                encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
            } else {
                encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn gauge(&mut self, metric: &MetricDef, lines: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut encoder = self.start(metric, MetricType::Gauge)?;
        for (labels, value) in lines {
            if labels.is_empty() {
                encoder.encode_gauge(&value)?;
            } else {
                encoder.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn histogram<'h>(
        &mut self,
        metric: &MetricDef,
        bounds: &[f64],
        lines: impl IntoIterator<Item = (Labels, &'h Histogram<u64>)>,
    ) -> fmt::Result {
        let mut encoder = self.start(metric, MetricType::Histogram)?;
        for (labels, histogram) in lines {
            let (sum, buckets) = buckets(histogram, bounds);
            let (count, buckets, native) = (histogram.len(), buckets.as_slice(), Native::of(histogram));
            // The text format leaves the native buckets out.
            let native = native.as_encoded();
            if labels.is_empty() {
                encoder.encode_histogram_with_native::<NoLabelSet>(sum, count, buckets, None, native)?;
            } else {
                let mut line = encoder.encode_family(&labels)?;
                line.encode_histogram_with_native::<NoLabelSet>(sum, count, buckets, None, native)?;
            }
        }
        Ok(())
    }
}

/// Sum in seconds, and how many values lie in each classic bucket.
fn buckets(histogram: &Histogram<u64>, bounds: &[f64]) -> (f64, Vec<(f64, u64)>) {
    let mut buckets: Vec<(f64, u64)> =
        bounds.iter().copied().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
    let mut sum = 0.0;
    for value in histogram.iter_recorded() {
        let seconds = value.value_iterated_to() as f64 / 1e9;
        let count = value.count_since_last_iteration();
        sum += seconds * count as f64;
        if let Some(bucket) = buckets.iter_mut().find(|(bound, _)| seconds <= *bound) {
            bucket.1 += count;
        }
    }
    (sum, buckets)
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page(encoder);
        self.screening(&mut page)?;
        self.rules(&mut page)?;
        self.doors(&mut page)?;
        self.exchange(&mut page)?;
        self.network(&mut page)?;
        self.aftermath(&mut page)?;
        self.decision_log(&mut page)?;
        self.alerts(&mut page)?;
        self.memory(&mut page)
    }
}

impl Exposition {
    fn screening(&self, page: &mut Page<'_>) -> fmt::Result {
        let total = self.metrics.total();
        page.histogram(&DECISION, DECISION_BOUNDS, [(Labels::new(), total.decisions())])?;
        let stages =
            Stage::ALL.into_iter().map(|stage| (label("stage", stage.name()), total.stage_times(stage)));
        page.histogram(&STAGE, DECISION_BOUNDS, stages)?;
        page.counter(&DECISIONS, total.outcomes().map(|(one, n)| (label("outcome", one.name()), n)))?;
        page.counter(&REVIEWS, total.reviews().map(|(one, n)| (label("review", one.name()), n)))?;
        page.counter(&NOT_SCREENED, total.not_screened().map(|(why, n)| (label("why", why.name()), n)))?;
        page.gauge(&READY, [(Labels::new(), f64::from(u8::from(self.state.is_ready())))])
    }

    fn rules(&self, page: &mut Page<'_>) -> fmt::Result {
        let rule_hits = self.metrics.rule_hits();
        let mode = |id: &String, mode: &str| vec![("rule", id.clone()), ("mode", mode.to_owned())];
        let hits = rule_hits
            .iter()
            .flat_map(|(id, hits)| [(mode(id, "enforce"), hits.enforced), (mode(id, "shadow"), hits.shadow)]);
        page.counter(&RULE_HITS, hits)?;
        let errors = rule_hits.iter().map(|(id, hits)| (label("rule", id), hits.errors));
        page.counter(&RULE_ERRORS, errors)?;
        let digest = self.state.rules().as_ref().map(|active| active.set.digest().to_string());
        page.gauge(&RULE_SET, digest.into_iter().map(|digest| (label("digest", digest), 1.0)))?;
        page.counter(&EXEMPTED, [(Labels::new(), self.metrics.total().exempted)])?;
        page.counter(&SHADOW_SHED, [(Labels::new(), self.metrics.total().shadow_shed)])?;
        let exemptions = self.state.exemptions.acting_count(self.state.now((self.moment)()));
        page.gauge(&EXEMPTIONS, [(Labels::new(), exemptions as f64)])?;
        let count =
            |counter: &std::sync::atomic::AtomicU64| [(Labels::new(), counter.load(Ordering::Relaxed))];
        page.counter(&RELOADS, count(&self.metrics.reloads))?;
        page.counter(&RELOAD_FAILURES, count(&self.metrics.reload_failures))?;
        let failed = self.metrics.last_reload_failed.load(Ordering::Relaxed);
        page.gauge(&RELOAD_SUCCESS, [(Labels::new(), f64::from(u8::from(!failed)))])
    }

    fn doors(&self, page: &mut Page<'_>) -> fmt::Result {
        let total = self.metrics.total();
        let operations = OperationKind::ALL.iter().zip(total.operations);
        page.counter(&OPERATIONS, operations.map(|(kind, n)| (label("operation", kind.name()), n)))?;
        let callers = total.callers().iter().flat_map(|(caller, counts)| {
            let (member, role) = match caller {
                Some((member, role)) => (member.as_str().to_owned(), role.name()),
                None => ("other".to_owned(), "other"),
            };
            let CallerCounts { decided, not_screened, operations } = *counts;
            let ends = [("decided", decided), ("not_screened", not_screened), ("operation", operations)];
            ends.map(|(end, n)| {
                (vec![("member", member.clone()), ("role", role.to_owned()), ("end", end.to_owned())], n)
            })
        });
        page.counter(&CALLERS, callers.collect::<Vec<_>>())?;
        let canary = &self.state.canary;
        let fates = canary.fates().filter(|_| canary.is_there());
        page.counter(&CANARY, fates.map(|(fate, n)| (label("end", fate.name()), n)))?;
        let refusals = Refusal::ALL.iter().zip(total.refusals);
        page.counter(&REFUSALS, refusals.map(|(refusal, n)| (label("why", refusal.name()), n)))?;
        let rejected = Rejected::ALL.into_iter();
        page.counter(
            &REJECTED,
            rejected.map(|why| (label("why", why.name()), self.metrics.rejections(why))),
        )?;
        let connections = self.metrics.connections.load(Ordering::Relaxed);
        page.gauge(&CONNECTIONS, [(Labels::new(), connections as f64)])
    }

    fn exchange(&self, page: &mut Page<'_>) -> fmt::Result {
        let staleness = f64::from(self.state.staleness_ms(crate::server::clock::moment())) / 1e3;
        let own = (label("origin", "own"), staleness);
        let view = self.state.exchange.is_networked().then(|| self.state.exchange.view());
        let others = view.iter().flat_map(|view| &view.engines).filter(|engine| !engine.is_own);
        let others = others.filter_map(|engine| {
            Some((label("origin", engine.of.to_string()), engine.heard_ms? as f64 / 1e3))
        });
        page.gauge(&STALENESS, std::iter::once(own).chain(others))?;
        let flags = self.state.stores.flags.size(self.state.now((self.moment)()));
        let known = [("known", flags.subjects), ("active", flags.active)];
        page.gauge(&FLAGS, known.map(|(state, n)| (label("state", state), n as f64)))?;
        let member = self.state.member();
        let indicators = self.state.stores.indicators.size(member, self.state.now((self.moment)()));
        let known =
            [("known", indicators.known), ("acting", indicators.acting), ("shared", indicators.shared)];
        page.gauge(&INDICATORS, known.map(|(state, n)| (label("state", state), n as f64)))?;
        page.gauge(&PEOPLE, [(Labels::new(), self.state.screened_people.estimate() as f64)])?;
        page.counter(&HONEY, [(Labels::new(), self.state.honey.touched())])?;
        let count =
            |counter: &std::sync::atomic::AtomicU64| [(Labels::new(), counter.load(Ordering::Relaxed))];
        page.counter(&RECORDS, count(&self.metrics.records))?;
        page.counter(&JOURNAL_FAILURES, count(&self.metrics.journal_failures))?;
        let result = |name, counter: &std::sync::atomic::AtomicU64| {
            (label("result", name), counter.load(Ordering::Relaxed))
        };
        let (written, failed) = (&self.metrics.snapshots, &self.metrics.snapshot_failures);
        page.counter(&SNAPSHOTS, [result("written", written), result("failed", failed)])?;
        page.counter(&AUDITED, count(&self.metrics.audited))?;
        page.counter(&AUDIT_FAILURES, count(&self.metrics.audit_failures))?;
        let state = f64::from(self.metrics.journal_state() as u8);
        page.gauge(&JOURNAL_STATE, [(Labels::new(), state)])?;
        let commits = lock(&self.metrics.commits);
        page.histogram(&FSYNC, DISK_BOUNDS, commits.iter().map(|commits| (Labels::new(), commits)))
    }

    /// The other engines; nothing where there are none.
    fn network(&self, page: &mut Page<'_>) -> fmt::Result {
        let exchange = &self.state.exchange;
        if !exchange.is_networked() {
            return Ok(());
        }
        let view = exchange.view();
        page.gauge(&LINKED, [(Labels::new(), f64::from(u8::from(view.linked)))])?;
        let others = || view.engines.iter().filter(|engine| !engine.is_own);
        let states = [
            ("live", others().filter(|engine| engine.is_live).count()),
            ("silent", others().filter(|engine| !engine.is_live).count()),
            ("behind", others().filter(|engine| engine.behind_ms.is_some()).count()),
            ("held_back", others().filter(|engine| engine.held.is_some()).count()),
        ];
        page.gauge(&ENGINES, states.map(|(state, n)| (label("state", state), n as f64)))?;
        let lacks = others().map(|engine| (label("engine", engine.of.to_string()), engine.lacks as f64));
        page.gauge(&LACKS, lacks)?;
        let mut took: Vec<u64> = view.latencies().map(|(_, ms)| ms).collect();
        took.sort_unstable();
        let at = |share: f64| took.get(((took.len() as f64 - 1.0).max(0.0) * share) as usize);
        let known = [("0.5", at(0.5)), ("0.99", at(0.99)), ("1", took.last())];
        let known =
            known.into_iter().filter_map(|(share, ms)| Some((label("quantile", share), *ms? as f64 / 1e3)));
        page.gauge(&PROPAGATION, known)?;
        page.counter(&RECEIVED, [(Labels::new(), exchange.records_received())])?;
        let signs = [
            ("gaps", view.gaps),
            ("questions", view.questions),
            ("batches_sent", view.repaired),
            ("messages_refused", view.refused),
        ];
        page.counter(&REPAIRS, signs.map(|(sign, n)| (label("sign", sign), n)))?;
        let (told, untold) = exchange.told_and_untold();
        page.counter(&SIBLINGS, [(label("what", "told"), told), (label("what", "dropped"), untold)])
    }

    /// The decision log; nothing where there is none.
    fn decision_log(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(log) = &self.log else { return Ok(()) };
        let DecisionLogSize { written, dropped, gaps, failures, bytes, waiting } = log.size();
        page.counter(&LOGGED, [(Labels::new(), written)])?;
        page.counter(&LOG_DROPPED, [(Labels::new(), dropped)])?;
        page.counter(&LOG_GAPS, [(Labels::new(), gaps)])?;
        page.counter(&LOG_FAILURES, [(Labels::new(), failures)])?;
        page.gauge(&LOG_WAITING, [(Labels::new(), waiting as f64)])?;
        page.gauge(&LOG_BYTES, [(Labels::new(), bytes as f64)])?;
        page.gauge(&LOG_WELL, [(Labels::new(), f64::from(u8::from(log.is_well())))])
    }

    /// What stands and what does not; rules that do well have no line.
    fn alerts(&self, page: &mut Page<'_>) -> fmt::Result {
        let lines = self.alerts.standing().into_iter().map(|(name, about, stands)| {
            (vec![("name", name.name().to_owned()), ("about", about)], f64::from(u8::from(stands)))
        });
        page.gauge(&ALERT, lines)
    }

    /// What was screened lately, and what became of it.
    fn aftermath(&self, page: &mut Page<'_>) -> fmt::Result {
        let recent = self.state.recent.size();
        page.gauge(&RECENT, [(Labels::new(), recent.requests as f64)])?;
        page.gauge(&RECENT_BYTES, [(Labels::new(), recent.bytes as f64)])?;
        page.counter(&RECENT_MISSED, [(Labels::new(), recent.missed)])?;
        let known = &self.state.aftermath;
        page.gauge(&FINALS, known.finals().map(|(one, n)| (label("final", one.name()), n as f64)))?;
        page.gauge(&LABELS, known.classes().map(|(one, n)| (label("class", one.name()), n as f64)))?;
        let of = |rule: &String, class: &str| vec![("rule", rule.clone()), ("class", class.to_owned())];
        let rules = known.rules();
        let lines = rules.iter().flat_map(|(rule, labels)| {
            [(of(rule, "fraud"), labels.fraud as f64), (of(rule, "good"), labels.good as f64)]
        });
        page.gauge(&RULE_LABELS, lines)
    }

    fn memory(&self, page: &mut Page<'_>) -> fmt::Result {
        let velocity = self.state.stores.velocity.size();
        page.gauge(&VELOCITY_KEYS, [(Labels::new(), velocity.keys as f64)])?;
        page.gauge(&VELOCITY_BYTES, [(Labels::new(), velocity.bytes as f64)])?;
        page.counter(&VELOCITY_EVICTED, [(Labels::new(), self.state.stores.velocity.evicted())])?;
        let by_key = self.state.stores.velocity.sizes();
        let of = |key: &KeySize| label("key", key.key.text());
        page.gauge(&VELOCITY_KEYS_OF, by_key.iter().map(|key| (of(key), key.keys as f64)))?;
        page.gauge(&VELOCITY_BYTES_OF, by_key.iter().map(|key| (of(key), key.bytes as f64)))?;
        page.gauge(&IDS, [(Labels::new(), self.state.ids.len() as f64)])
    }
}
