//! Every bound of the engine, side by side, compared by the compiler.

/// How far `event_time` may lie behind the engine's clock, ms.
pub const EVENT_LATE_MS_MAX: i64 = 120_000;

/// How far `event_time` may lie ahead of the engine's clock, ms: two machines' clocks differ by that much.
pub const EVENT_EARLY_MS_MAX: i64 = 5_000;

/// How long the answer to a request id is kept, ms. A retry within it gets the same answer.
pub const IDS_KEPT_MS: i64 = 120_000;

/// How many request ids are kept at most, in all generations together.
pub const IDS_KEPT_MAX: usize = 8_000_000;

/// How old an authentication may be to meet a `verify` flag, ms.
pub const FRESH_AUTHENTICATION_MS_MAX: i64 = 600_000;

/// Longest velocity window, ms: 90 days.
pub const VELOCITY_SPAN_MS_MAX: i64 = 90 * 86_400_000;

/// Velocity readings that one rule set may ask for.
pub const READINGS_MAX: usize = 256;

/// Live velocity keys by default. A key with a few events takes about 400 bytes.
pub const VELOCITY_KEYS_MAX: usize = 4_000_000;

/// How long a request is kept to be looked at again, ms.
pub const RECENT_MS_MAX: i64 = 3_600_000;

/// Requests that are kept to be looked at again, by default. One takes about 800 bytes.
pub const RECENT_REQUESTS_MAX: usize = 100_000;

/// Longest expression of a rule, bytes.
pub const EXPRESSION_BYTES_MAX: usize = 8_192;

/// Deepest nesting of an expression.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// Deepest nesting of a rule file's groups and lists. The windows of an example stand nine deep.
pub const YAML_DEPTH_MAX: usize = 16;

/// Most points of one rule.
pub const SCORE_MAX: i32 = 1_000;

/// Rules in one set.
pub const RULES_MAX: usize = 10_000;

/// Largest rule file, bytes.
pub const RULE_FILE_BYTES_MAX: usize = 4 << 20;

/// Largest list file, bytes.
pub const LIST_FILE_BYTES_MAX: usize = 256 << 20;

/// Steps that the evaluation of one constant expression may take.
pub const CONSTANT_STEPS_MAX: u32 = 65_536;

/// Static cost that one rule may have, in atoms.
pub const RULE_COST_MAX: u32 = 4_096;

/// Static cost that one set may have: each distinct atom once, and one per rule.
pub const SET_COST_MAX: u32 = 65_536;

/// Longest pattern of `matches`, bytes (RUSTSEC-2022-0013: a pattern can cost time before it runs).
pub const PATTERN_BYTES_MAX: usize = 256;

/// Largest compiled pattern, bytes.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 256 << 10;

/// Passes that one flag may have open at a time.
pub const PASSES_MAX: usize = 8;

/// Longest life of a pass, ms: a day.
pub const PASS_MS_MAX: i64 = 86_400_000;

/// Longest that an exemption acts, ms: 30 days. Who needs it for longer changes the rule.
pub const EXEMPTION_MS_MAX: i64 = 30 * 86_400_000;

/// Longest that a registrar may take to answer a contest, ms: 30 days.
pub const CONTEST_MS_MAX: i64 = 30 * 86_400_000;

/// Largest file of messages that `sparr map` reads, bytes.
pub const EDGE_FILE_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting of a document of ISO 20022: a pacs.008 with structured remittance stands twelve deep.
pub const EDGE_XML_DEPTH_MAX: usize = 32;

/// Elements of one document.
pub const EDGE_XML_NODES_MAX: usize = 2_000_000;

/// Longest text of one element, bytes: the standard's longest texts have 9,000 characters, those that are read 2,048.
pub const EDGE_XML_TEXT_BYTES_MAX: usize = 36_000;

/// Longest life of a flag from the day it is raised, days: five years, as bedrägerispärr has it.
pub const FLAG_DAYS_MAX: i64 = 5 * 366;

const _: () =
    assert!(IDS_KEPT_MS >= EVENT_LATE_MS_MAX, "an id outlives every request that may still repeat it");
const _: () = assert!(RULE_COST_MAX <= SET_COST_MAX && RULES_MAX < SET_COST_MAX as usize);
const _: () =
    assert!(RULES_MAX as i64 * SCORE_MAX as i64 <= i32::MAX as i64, "a sum of scores does not overflow");
const _: () = assert!(VELOCITY_SPAN_MS_MAX > EVENT_LATE_MS_MAX + EVENT_EARLY_MS_MAX);
