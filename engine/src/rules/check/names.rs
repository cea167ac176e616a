//! Names in a condition: fields, and what people write instead of them.

use super::{Checker, NumberKind, Typed, constant};
use crate::facts::schema::{FIELDS, FieldIndex, Read};
use crate::request::KeyName;
use crate::rules::diagnostic::Code as DiagnosticCode;
use crate::rules::expression::Place;
use crate::rules::ir::{Atom, Case, Code, Node, Number, Test, Text};
use sparr_protocol::text::nearest;

/// Names that are no fields, and what was probably meant.
const INSTEAD: &[(&str, &str)] = &[
    (
        "amount",
        "`amount_minor` is the amount in its own currency, `amount_base_minor` in the set's base currency",
    ),
    ("sum", "a sum is read off a window: velocity(card, \"24h\").sum"),
    ("count", "a count is read off a window: velocity(card, \"24h\").count"),
    (
        "country",
        "the countries are `merchant_country`, `issuer_country`, `billing_country` and `shipping_country`",
    ),
    ("card_country", "the country of a card's issuer is `issuer_country`"),
    ("ip_country", "an address has no country here; look it up in a list of prefixes: ip in cidrs(\"…\")"),
    ("score", "a rule cannot read the score: every rule stands for itself, and points are summed afterwards"),
    (
        "risk_score",
        "a rule cannot read the score: every rule stands for itself, and points are summed afterwards",
    ),
    ("outcome", "a rule cannot read what other rules decide"),
    ("time", "the time of the event is `event_time`; `hour` and `weekday` are in the set's time zone"),
    ("now", "the time of the event is `event_time`; `hour` and `weekday` are in the set's time zone"),
    ("age", "the payer's age is `age_years`"),
    ("personnummer", "a person's number cannot be read; `has(subject)` asks whether it is there"),
    ("pan", "a card's number is never in a request; `card_bin` is its first digits"),
    ("bin", "the first digits of a card's number are `card_bin`"),
];

impl Checker<'_> {
    /// A field, or a name that stands for a constant.
    pub(super) fn name(&mut self, name: &str, at: Place) -> Option<Typed> {
        if let Some(literal) = self.bound_to(name) {
            return Some(constant(literal, at));
        }
        let field = self.field(name, at)?;
        self.read(field, at)
    }

    /// What a field is read as.
    pub(super) fn read(&mut self, field: FieldIndex, at: Place) -> Option<Typed> {
        let name = field.def().name;
        Some(match field.def().read {
            Read::Bool(_) => {
                self.count();
                Typed::Bool(Node { at, is: Test::Atom(Atom::Holds(field)) })
            }
            Read::Int(_) => Typed::Number(Node { at, is: Number::Field(field) }, NumberKind::Plain),
            Read::Money(_) => Typed::Number(Node { at, is: Number::Field(field) }, NumberKind::Money),
            Read::Time(_) => Typed::Number(Node { at, is: Number::Field(field) }, NumberKind::Time),
            Read::Text(_) | Read::Opaque(_) => {
                Typed::Text(Node { at, is: Text::Field(field, Case::AsWritten) })
            }
            Read::Code(domain, _) => Typed::Code(Node { at, is: Code::Field(field) }, domain),
            Read::Ip(_) => Typed::Address(field),
            Read::Presence(_) => {
                self.say_personal(name, at);
                return None;
            }
        })
    }

    /// The field of a name; an unknown one is reported.
    pub(super) fn field(&mut self, name: &str, at: Place) -> Option<FieldIndex> {
        let field = FieldIndex::find(name);
        if field.is_none() {
            self.say_unknown_field(name, at);
        }
        field
    }

    fn say_personal(&mut self, name: &str, at: Place) {
        let message = format!("`{name}` is personal: a rule may only ask whether it is there, `has({name})`");
        let diagnostic = self.fault(DiagnosticCode::Personal, at, message);
        let diagnostic = match name {
            "email" => diagnostic.help("the part behind the @ can be read: `email_domain`"),
            "subject" => diagnostic
                .help("what can be read of the payer: `age_years`, `subject.kind`, `subject.country`"),
            _ => diagnostic,
        };
        self.say(match KeyName::parse(name) {
            Some(key) => {
                diagnostic.help(format!("how often it was seen: velocity({}, \"24h\").count", key.name()))
            }
            None => diagnostic,
        });
    }

    fn say_unknown_field(&mut self, name: &str, at: Place) {
        let group: Vec<&str> = FIELDS
            .iter()
            .map(|field| field.name)
            .filter(|field| field.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
            .collect();
        let diagnostic = self.fault(DiagnosticCode::UnknownField, at, format!("no field is called `{name}`"));
        let instead = INSTEAD.iter().find(|(wrong, _)| *wrong == name);
        self.say(if !group.is_empty() {
            let fields = crate::rules::fields::listed(&group);
            self.fault(DiagnosticCode::UnknownField, at, format!("`{name}` is a group of fields"))
                .help(format!("its fields are {fields}"))
        } else if KeyName::parse(name).is_some() {
            diagnostic.help(format!("`{name}` is a key for counting: velocity({name}, \"24h\").count"))
        } else if let Some((_, meant)) = instead {
            diagnostic.help(*meant)
        } else {
            let bound = self.bound.iter().map(|(bound, _)| bound.as_str());
            let names = FIELDS.iter().map(|field| field.name).chain(bound);
            let near = nearest(name, names);
            match near {
                Some(_) => diagnostic.did_you_mean(near),
                None => diagnostic.help("config/RULES.md has a table of all fields"),
            }
        });
    }
}
