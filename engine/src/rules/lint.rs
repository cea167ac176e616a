//! What loads but was probably not meant.

use super::diagnostic::{Code, Diagnostic};
use super::expression::Source;
use super::file::Draft;
use super::ir::{Condition, Test};
use super::lists::Library;
use super::set::{Action, Mode, Rule};
use super::sources::Span;
use hashbrown::HashMap;

/// One rule by itself.
pub(super) fn rule(draft: &Draft<'_>, source: &Source, rule: &Rule, report: &mut Vec<Diagnostic>) {
    let mut say = |code, at, message: String, help: &str| {
        report.push(Diagnostic::new(code, at, message).help(help));
    };
    let id = &rule.id;
    if draft.examples.is_empty() {
        let help = "add `examples`, at least one `match` and one `no_match`";
        say(Code::NoExamples, draft.at, format!("the rule `{id}` has no examples"), help);
    }
    if rule.description.is_empty() {
        let help = "add `description`: what the rule is there for, in words";
        say(Code::NoDescription, draft.at, format!("the rule `{id}` has no description"), help);
    }
    if rule.owner.is_none() {
        let help = "add `owner`: the team that is asked when the rule misbehaves";
        say(Code::NoOwner, draft.at, format!("the rule `{id}` has no owner"), help);
    }
    match rule.condition.is {
        Test::Constant(true) => {
            let message = format!("the condition of `{id}` always holds");
            say(Code::AlwaysTrue, source.whole(), message, "write what the rule is about");
        }
        Test::Constant(false) => {
            let message = format!("the condition of `{id}` never holds");
            say(Code::NeverTrue, source.whole(), message, "a rule that should rest has `mode: off`");
        }
        Test::Atom(_) | Test::Not(_) | Test::All(_) | Test::Any(_) | Test::If(_) | Test::Same(_) => {}
    }
}

/// Rules of which an earlier one asks for as much, and holds whenever they do: what it asks stands among what they ask.
pub(super) fn covered(rules: &[Rule], places: &[Span], report: &mut Vec<Diagnostic>) {
    let counts = |rule: &Rule| rule.mode == Mode::Enforce && rule.rollout == 100 && rule.expires.is_none();
    let mut known: HashMap<&Condition, Vec<usize>, foldhash::fast::RandomState> = HashMap::default();
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.mode == Mode::Enforce) {
        let asked = conjuncts(&rule.condition);
        let earlier = asked.iter().filter_map(|part| known.get(part)).flatten();
        let covers = |first: &&usize| {
            let first = &rules[**first];
            let wider = conjuncts(&first.condition);
            wider.len() < asked.len()
                && wider.iter().all(|part| asked.contains(part))
                && as_strict(first.action, rule.action)
                && first.kinds.includes(rule.kinds)
        };
        if let Some(first) = earlier.filter(covers).min() {
            let message =
                format!("`{}` hits only where `{}` does, which asks for as much", rule.id, rules[*first].id);
            report.push(
                Diagnostic::new(Code::Covered, places[at], message)
                    .also(places[*first], "the earlier rule")
                    .help("remove one of them, or say what the other one leaves open"),
            );
        }
        if let (true, Some(first)) = (counts(rule), asked.first()) {
            known.entry(*first).or_default().push(at);
        }
    }
}

fn conjuncts(condition: &Condition) -> Vec<&Condition> {
    match &condition.is {
        Test::All(parts) => parts.iter().collect(),
        Test::Constant(_) | Test::Atom(_) | Test::Not(_) | Test::Any(_) | Test::If(_) | Test::Same(_) => {
            vec![condition]
        }
    }
}

/// Whether one hit already asks for everything that another one asks for. Points add up, so they never do.
fn as_strict(one: Action, other: Action) -> bool {
    match (one, other) {
        (Action::Outcome(one), Action::Outcome(other)) => one >= other,
        (Action::Review(one), Action::Review(other)) => one >= other,
        (Action::Outcome(_) | Action::Review(_) | Action::Score(_), _) => false,
    }
}

/// Rules that ask the same of the same kinds. A rule that is off asks nothing.
pub(super) fn duplicates(rules: &[Rule], places: &[Span], report: &mut Vec<Diagnostic>) {
    let mut known: HashMap<_, Vec<usize>, foldhash::fast::RandomState> = HashMap::default();
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.mode != Mode::Off) {
        let alike = known.entry(&rule.condition).or_default();
        if let Some(first) = alike.iter().find(|first| rules[**first].kinds.intersects(rule.kinds)) {
            let message = format!("`{}` has the same condition as `{}`", rule.id, rules[*first].id);
            report.push(
                Diagnostic::new(Code::DuplicateCondition, places[at], message)
                    .also(places[*first], "the first one"),
            );
        }
        alike.push(at);
    }
}

/// Lists that no rule uses.
pub(super) fn unused(library: &Library, report: &mut Vec<Diagnostic>) {
    for list in library.unused() {
        let message = format!("no rule uses the list `{}`", list.name);
        let at = Span::new(list.file, 0..0);
        report.push(Diagnostic::new(Code::UnusedList, at, message).help("remove its file, or use it"));
    }
}
