//! Every metric that this engine has: names, and what they say. Base units, `_total` for what only grows, labels of few values.

/// One metric: its name as it is scraped, its help text.
pub struct MetricDef {
    /// The name, with its unit and `_total` where it is a counter.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// Declares the metrics, each under a name that this file uses.
macro_rules! metrics {
    ($($constant:ident = $name:literal $help:literal;)+) => {
        $(pub(super) const $constant: MetricDef = MetricDef { name: $name, help: $help };)+
        /// Every metric.
        pub const METRICS: &[MetricDef] = &[$($constant),+];
    };
}
metrics! {
    DECISION = "sparr_decision_duration_seconds" "Time from reading a request to writing its answer";
    STAGE = "sparr_stage_duration_seconds" "Time of one stage of a screening; one request in sixteen is timed";
    DECISIONS = "sparr_decisions_total" "Decisions by outcome";
    REVIEWS = "sparr_reviews_total" "Decisions by review";
    NOT_SCREENED = "sparr_not_screened_total" "Requests that were not screened, by reason";
    RULE_HITS = "sparr_rule_hits_total" "Hits by rule and mode";
    RULE_ERRORS = "sparr_rule_errors_total" "Evaluations of a rule that failed";
    CALLERS = "sparr_caller_requests_total" "Requests and operations by member, role and what became of them: decided, not_screened, operation";
    CANARY = "sparr_canary_total" "Payments of the flagged person whom nobody is, by what became of them: stopped, passed, not_screened";
    OPERATIONS = "sparr_exchange_operations_total" "Operations of the exchange by kind";
    REFUSALS = "sparr_refusals_total" "Operations and frames that were refused, by reason";
    REJECTED = "sparr_connections_rejected_total" "Connections that were not let in, by reason";
    CONNECTIONS = "sparr_connections" "Open connections";
    STALENESS = "sparr_staleness_seconds" "Age of the newest confirmed exchange state (own), and of what was last heard of each other engine";
    LINKED = "sparr_exchange_linked" "Whether the broker between the engines is reached";
    ENGINES = "sparr_exchange_engines" "Engines of the exchange, by state: live, silent, behind, held_back";
    LACKS = "sparr_exchange_lacks" "Records of this engine that another one has not said to have";
    PROPAGATION = "sparr_propagation_seconds" "From an acknowledgement to the last engine's receipt, of the latest commits: p50, p99, max";
    RECEIVED = "sparr_exchange_records_received_total" "Records of other engines that were taken in";
    REPAIRS = "sparr_exchange_repairs_total" "Signs of repair: gaps, questions, batches sent to others, messages refused";
    SIBLINGS = "sparr_exchange_payments_total" "Payments between engines of this member: told of by others, dropped here";
    RULE_SET = "sparr_rule_set_info" "Digest of the rule set that decides";
    RELOADS = "sparr_reloads_total" "Reloads of rules and certificates";
    RELOAD_FAILURES = "sparr_reload_failures_total" "Reloads that were refused; the state before them stays";
    RELOAD_SUCCESS = "sparr_reload_success" "Whether the last reload succeeded";
    FLAGS = "sparr_flags" "Subjects with flags, by state";
    INDICATORS = "sparr_indicators" "Indicators, by state: known, acting at this member, shared with all";
    PEOPLE = "sparr_screened_people" "Different people who were screened today, about: whoever walks through numbers shows";
    SHADOW_SHED = "sparr_shadow_shed_total" "Decisions for which there was no time for shadow rules";
    EXEMPTED = "sparr_exempted_total" "Answers in which an exemption silenced a rule";
    EXEMPTIONS = "sparr_exemptions" "Exemptions that act";
    HONEY = "sparr_honey_lookups_total" "Look-ups of numbers that nobody was ever given";
    RECORDS = "sparr_journal_records_total" "Records that this engine has made durable";
    FSYNC = "sparr_journal_fsync_seconds" "Time of one durable commit";
    JOURNAL_FAILURES = "sparr_journal_failures_total" "Commits that failed";
    SNAPSHOTS = "sparr_snapshots_total" "Snapshots of the journal's state, by result: written, failed";
    AUDITED = "sparr_audit_lines_total" "Lines of the audit that are durable";
    AUDIT_FAILURES = "sparr_audit_failures_total" "Attempts to write the audit that failed; look-ups wait";
    JOURNAL_STATE = "sparr_journal_state" "What the journal takes in: 0 everything, 1 lifts and the like (the disk is full), 2 nothing until it was read again";
    VELOCITY_KEYS = "sparr_velocity_keys" "Live velocity keys";
    VELOCITY_BYTES = "sparr_velocity_bytes" "Memory of all velocity keys, with room for keys to come";
    VELOCITY_EVICTED = "sparr_velocity_evicted_total" "Velocity keys that had to make room for others";
    VELOCITY_KEYS_OF = "sparr_velocity_keys_by_key" "Live velocity keys, by the key that rules count by";
    VELOCITY_BYTES_OF = "sparr_velocity_bytes_by_key" "Memory of velocity keys, by the key that rules count by";
    RECENT = "sparr_recent_requests" "Requests of the last hour that are kept to be looked at again";
    RECENT_BYTES = "sparr_recent_bytes" "Memory of recent requests";
    RECENT_MISSED = "sparr_recent_missed_total" "Requests that were not kept because too much was on its way";
    LOGGED = "sparr_decision_log_answers_total" "Answers that reached the decision log";
    LOG_DROPPED = "sparr_decision_log_dropped_total" "Answers that are not in the decision log for want of room: each says unlogged";
    LOG_GAPS = "sparr_decision_log_gaps_total" "Gaps in the decision log that this life has written";
    LOG_FAILURES = "sparr_decision_log_failures_total" "Writes of the decision log that failed";
    LOG_WAITING = "sparr_decision_log_waiting" "Answers on their way to the decision log";
    LOG_BYTES = "sparr_decision_log_bytes" "Size of the decision log when its newest segment began";
    LOG_WELL = "sparr_decision_log_well" "Whether the decision log takes answers in";
    FINALS = "sparr_final_results" "Requests whose final result is known, by result";
    LABELS = "sparr_labels" "Payments whose label is known, by class";
    RULE_LABELS = "sparr_rule_labels" "Labelled payments that a rule hit: fraud, good. Their share is its precision";
    IDS = "sparr_request_ids" "Answered request ids that are kept";
    ALERT = "sparr_alert" "What the engine has noticed of itself: whether it stands; of rules, those alone that are told of";
    READY = "sparr_ready" "Whether the engine screens";
}
