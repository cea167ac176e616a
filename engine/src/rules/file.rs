//! Rule files: from the YAML tree to drafts of rules, conditions not yet read.
//!
//! A draft keeps going where a value is bad (the finding is in the report, so the set cannot load): one pass over a
//! file tells its author everything.

use super::diagnostic::{Code, Diagnostic};
use super::example::Example;
use super::expression::Source;
use super::fields::{self, Fields};
use super::settings::{self, Settings};
use super::sources::{FileId, Span};
use super::yaml::{self, Node};
use super::{Action, Mode};
use crate::limits::SCORE_MAX;
use crate::velocity::spec::KindSet;
use sparr_protocol::codes::{Kind, Outcome, Review};
use sparr_protocol::text::nearest;
use sparr_protocol::time::Date;

/// A rule as it is written.
pub(super) struct Draft<'a> {
    /// Where the rule is named.
    pub(super) at: Span,
    pub(super) id: &'a str,
    pub(super) description: &'a str,
    pub(super) owner: Option<&'a str>,
    pub(super) mode: Mode,
    pub(super) rollout: u8,
    pub(super) when: Option<Source>,
    pub(super) action: Option<Action>,
    pub(super) reason: Option<(&'a str, Span)>,
    pub(super) kinds: KindSet,
    pub(super) expires: Option<(Date, Span)>,
    pub(super) examples: Vec<Example<'a>>,
}

/// What a rule file says.
#[derive(Default)]
pub(super) struct RuleFile<'a> {
    pub(super) rules: Vec<Draft<'a>>,
    /// Where the file says that it has no rules.
    pub(super) says_none: Option<Span>,
    /// The `set:` group, and where it stands.
    pub(super) settings: Option<(Settings, Span)>,
}

/// The keys of a rule.
pub const RULE_KEYS: &[&str] = &[
    "id",
    "description",
    "owner",
    "mode",
    "rollout",
    "when",
    "then",
    "review",
    "score",
    "reason",
    "kinds",
    "expires",
    "examples",
];

/// Reads a file's tree.
pub(super) fn read<'a>(
    file: FileId,
    text: &str,
    tree: &'a Node,
    report: &mut Vec<Diagnostic>,
) -> RuleFile<'a> {
    let Some(top) = Fields::open(tree, "a rule file", &["rules", "set"], report) else {
        return RuleFile::default();
    };
    let settings = top.get("set").and_then(|node| Some((settings::read(node, report)?, node.at)));
    let rules = top.get("rules").map_or(&[][..], |node| fields::list(node, "rules", report));
    RuleFile {
        rules: rules.iter().filter_map(|node| draft(file, text, node, report)).collect(),
        says_none: top.get("rules").filter(|_| rules.is_empty()).map(|node| node.at),
        settings,
    }
}

fn draft<'a>(file: FileId, text: &str, node: &'a Node, report: &mut Vec<Diagnostic>) -> Option<Draft<'a>> {
    let rule = Fields::open(node, "a rule", RULE_KEYS, report)?;
    let id_node = rule.need("id", report);
    let id = id_node.and_then(|node| fields::value(node, "id", KEBAB_CASE, kebab_case, report));
    let description = rule.get("description").and_then(|node| fields::text(node, "description", report));
    let mode = rule
        .get("mode")
        .and_then(|node| fields::one_of(node, "mode", &["off", "shadow", "enforce"], Mode::parse, report));
    let rollout = rule
        .get("rollout")
        .and_then(|node| fields::value(node, "rollout", "a percentage, 0 to 100", percentage, report));
    let when = rule.need("when", report).and_then(|node| {
        fields::text(node, "when", report)?;
        Source::of_scalar(file, text, node)
    });
    let reason =
        rule.need("reason", report).and_then(|node| Some((fields::text(node, "reason", report)?, node.at)));
    let expires = rule.get("expires").and_then(|node| {
        Some((fields::value(node, "expires", fields::DATE, fields::parse_date, report)?, node.at))
    });
    let at = id_node.map_or_else(|| node.at.first_line(text), |node| node.at);
    Some(Draft {
        at,
        id: id.unwrap_or_default(),
        description: description.unwrap_or_default(),
        owner: rule.get("owner").and_then(|node| fields::text(node, "owner", report)),
        // A bad mode is in the report, so this default is only that of a rule that says none.
        mode: mode.unwrap_or(Mode::Enforce),
        rollout: rollout.unwrap_or(100),
        when,
        action: action(&rule, at, report),
        reason,
        kinds: rule.get("kinds").map_or_else(all_kinds, |node| kinds(node, report)),
        expires,
        examples: rule.get("examples").map_or_else(Vec::new, |node| {
            let items = fields::list(node, "examples", report);
            items.iter().filter_map(|node| Example::read(node, report)).collect()
        }),
    })
}

/// Exactly one of `then`, `review` and `score`.
fn action(rule: &Fields<'_>, at: Span, report: &mut Vec<Diagnostic>) -> Option<Action> {
    const ACTIONS: [&str; 3] = ["then", "review", "score"];
    let given: Vec<(&str, &Node)> = ACTIONS.iter().filter_map(|key| Some((*key, rule.get(key)?))).collect();
    let [(key, node)] = given[..] else {
        let message = "a rule has exactly one of `then`, `review` and `score`";
        let diagnostic = match given[..] {
            [] => Diagnostic::new(Code::Action, at, message).label("this rule has none"),
            _ => {
                let last = given.iter().map(|(_, node)| node.at).max().unwrap_or(at);
                let others = given.iter().filter(|(_, node)| node.at != last);
                let diagnostic = Diagnostic::new(Code::Action, last, message).label("one too many");
                others
                    .fold(diagnostic, |diagnostic, (key, node)| diagnostic.also(node.at, format!("`{key}`")))
            }
        };
        report.push(diagnostic.help("what should happen in two ways is two rules"));
        return None;
    };
    match key {
        "then" => {
            let outcome = |text: &str| Outcome::parse(text).filter(|outcome| *outcome != Outcome::Approve);
            fields::one_of(node, key, &["challenge", "decline"], outcome, report).map(Action::Outcome)
        }
        "review" => {
            let review = |text: &str| Review::parse(text).filter(|review| *review != Review::NoReview);
            fields::one_of(node, key, &["after", "hold"], review, report).map(Action::Review)
        }
        _ => {
            let expected = format!("points from 1 to {SCORE_MAX}: points only add");
            let points = |text: &str| text.parse().ok().filter(|points| (1..=SCORE_MAX).contains(points));
            fields::value(node, key, &expected, points, report).map(Action::Score)
        }
    }
}

/// A list of kinds of payment.
fn kinds(node: &Node, report: &mut Vec<Diagnostic>) -> KindSet {
    let mut set = KindSet::EMPTY;
    let items = fields::list(node, "kinds", report);
    for item in items {
        let Some(name) = fields::text(item, "a kind", report) else { continue };
        match Kind::parse(name) {
            Some(kind) => set = set.with(kind),
            None => {
                let near = nearest(name, Kind::ALL.iter().map(|kind| kind.name()));
                let message = format!("no kind of payment is called `{name}`");
                report.push(Diagnostic::new(Code::Value, item.at, message).did_you_mean(near));
            }
        }
    }
    if matches!(&node.is, yaml::Value::List(items) if items.is_empty()) {
        let message = "a rule without kinds never runs";
        report.push(Diagnostic::new(Code::Value, node.at, message).help("leave `kinds` out for all kinds"));
    }
    set
}

/// Every kind: the default.
pub(super) fn all_kinds() -> KindSet {
    Kind::ALL.iter().fold(KindSet::EMPTY, |set, kind| set.with(*kind))
}

fn percentage(text: &str) -> Option<u8> {
    text.parse().ok().filter(|percent| *percent <= 100)
}

const KEBAB_CASE: &str = "lower-case letters and digits in words joined by hyphens, such as card-testing";

fn kebab_case(text: &str) -> Option<&str> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (text.len() <= 64 && text.split('-').all(word)).then_some(text)
}
