//! What loads but was probably not meant.

use super::diagnostic::{Code, Diagnostic};
use super::expression::Source;
use super::file::Draft;
use super::ir::Test;
use super::lists::Library;
use super::set::{Mode, Rule};
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
