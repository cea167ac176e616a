//! The digest of a rule set: BLAKE3 over a canonical form of everything that influences decisions.
//!
//! Names and order of files, white space, comments, descriptions, owners, examples and the sentences of reasons do
//! not count. Every part is preceded by its length or by a tag, so that no two sets share a form.

use super::expression::{Expr, Literal, Syntax};
use super::lists::RawList;
use super::reasons::ReasonTable;
use super::set::{Action, Rule};
use super::settings::Settings;
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::RuleSetDigest;
use sparr_protocol::time::Date;

/// A new way of writing sets, or of reading them, is a new version.
const FORM: &str = "sparr rule set 1";

/// The digest of a set. `rules` stand with the syntax trees of their conditions.
pub(super) fn digest<'a>(
    rules: &mut [(&'a Rule, &'a Expr)],
    lists: &mut [&RawList],
    reasons: &ReasonTable,
    settings: &Settings,
) -> RuleSetDigest {
    let mut form = Form(blake3::Hasher::new());
    form.text(FORM);
    form.settings(settings);
    form.number(reasons.iter().count() as i64);
    for reason in reasons.iter() {
        form.number(reason.code.0.into());
        form.text(&reason.name);
    }
    lists.sort_by(|one, other| one.name.cmp(&other.name));
    form.number(lists.len() as i64);
    lists.iter().for_each(|list| form.list(list));
    rules.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
    form.number(rules.len() as i64);
    rules.iter().for_each(|(rule, condition)| form.rule(rule, condition));
    let mut digest = [0; 16];
    form.0.finalize_xof().fill(&mut digest);
    RuleSetDigest(digest)
}

struct Form(blake3::Hasher);

impl Form {
    fn number(&mut self, number: i64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as i64);
        self.0.update(text.as_bytes());
    }

    fn date(&mut self, date: Option<Date>) {
        self.text(&date.map_or_else(String::new, |date| date.to_string()));
    }

    fn settings(&mut self, settings: &Settings) {
        let thresholds = settings.thresholds;
        for points in [thresholds.review, thresholds.challenge, thresholds.decline] {
            self.number(points.into());
        }
        self.text(settings.zone.iana_name().unwrap_or_default());
        self.text(settings.base.code());
        self.number(settings.rates.len() as i64);
        for (currency, rate) in &settings.rates {
            self.text(currency.code());
            self.number(*rate);
        }
        self.date(settings.rates_date);
    }

    fn list(&mut self, list: &RawList) {
        let mut entries: Vec<_> = list.entries.iter().map(|entry| (&*entry.value, entry.expires)).collect();
        entries.sort_unstable();
        entries.dedup();
        self.text(&list.name);
        self.number(entries.len() as i64);
        for (value, expires) in entries {
            self.text(value);
            self.date(expires);
        }
    }

    fn rule(&mut self, rule: &Rule, condition: &Expr) {
        self.text(&rule.id);
        self.text(rule.mode.name());
        self.number(rule.rollout.into());
        match rule.action {
            Action::Outcome(outcome) => self.text(outcome.name()),
            Action::Review(review) => self.text(review.name()),
            Action::Score(points) => {
                self.text("score");
                self.number(points.into());
            }
        }
        self.number(rule.reason.0.into());
        for kind in Kind::ALL {
            self.number(rule.kinds.contains(*kind).into());
        }
        self.date(rule.expires);
        self.expr(condition);
    }

    /// A condition as its syntax tree: a tag, then the parts.
    fn expr(&mut self, expr: &Expr) {
        match &expr.is {
            Syntax::Literal(Literal::Bool(value)) => {
                self.tagged("bool", &[], |form| form.number((*value).into()))
            }
            Syntax::Literal(Literal::Int(value)) => self.tagged("int", &[], |form| form.number(*value)),
            Syntax::Literal(Literal::Double(value)) => {
                self.tagged("double", &[], |form| form.number(value.to_bits() as i64));
            }
            Syntax::Literal(Literal::Text(text)) => self.tagged("text", &[], |form| form.text(text)),
            Syntax::Null => self.tagged("null", &[], |_| {}),
            Syntax::Index(pair) => self.tagged("index", &pair[..], |_| {}),
            Syntax::Name(name) => self.tagged("name", &[], |form| form.text(name)),
            Syntax::Member(operand, word) => {
                self.tagged("member", std::slice::from_ref(&**operand), |form| form.text(&word.text));
            }
            Syntax::Call(word, target, arguments) => {
                self.tagged("call", arguments, |form| form.text(&word.text));
                self.number(target.is_some().into());
                target.iter().for_each(|target| self.expr(target));
            }
            Syntax::List(items) => self.tagged("list", items, |_| {}),
            Syntax::Not(operand) => self.tagged("not", std::slice::from_ref(&**operand), |_| {}),
            Syntax::Negative(operand) => self.tagged("negative", std::slice::from_ref(&**operand), |_| {}),
            Syntax::All(terms) => self.tagged("all", terms, |_| {}),
            Syntax::Any(terms) => self.tagged("any", terms, |_| {}),
            Syntax::If(parts) => self.tagged("if", &parts[..], |_| {}),
            Syntax::In(pair) => self.tagged("in", &pair[..], |_| {}),
            Syntax::Compare(relation, pair) => {
                self.tagged("compare", &pair[..], |form| form.text(relation.text()));
            }
            Syntax::Arithmetic(operator, pair) => {
                self.tagged("arithmetic", &pair[..], |form| form.text(operator.text()));
            }
            Syntax::LeftOut(what) => self.tagged("left out", &[], |form| form.text(what)),
        }
    }

    fn tagged(&mut self, tag: &str, parts: &[Expr], detail: impl FnOnce(&mut Self)) {
        self.text(tag);
        detail(self);
        self.number(parts.len() as i64);
        parts.iter().for_each(|part| self.expr(part));
    }
}
