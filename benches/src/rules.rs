//! Rule sets of any size over about 130 distinct questions, in three forms: sparr's, CEL texts for another evaluator, and
//! one plain closure per rule.

use sparr_engine::facts::Facts;
use sparr_engine::facts::schema::{FieldIndex, Read};
use sparr_engine::rules::{SourceFile, Sources};
use sparr_engine::velocity::Reading;
use sparr_engine::velocity::spec::ReadingIndex;
use std::fmt::Write as _;

/// One question: a field or a window against a constant.
#[derive(Clone, Debug)]
pub enum Question {
    /// A whole number: the field, the relation as it is written, the constant.
    Number(&'static str, &'static str, i64),
    /// A value of an enumeration.
    Code(&'static str, &'static str),
    /// A window's count above a number.
    Window(&'static str, &'static str, i64),
}

/// A rule: some questions of which all hold, and some of which one does.
#[derive(Clone, Debug)]
pub struct Form {
    /// All of these.
    pub all: Vec<Question>,
    /// And one of these, where there are any.
    pub any: Vec<Question>,
}

/// A seeded source of numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Questions about the payment alone.
fn plain_questions() -> Vec<Question> {
    use Question::{Code, Number};
    let mut all = Vec::new();
    for step in 1..=15 {
        all.push(Number("amount_minor", ">", step * step * 5_000));
        all.push(Number("amount_minor", "<=", step * step * 4_000));
    }
    for mcc in [
        4111, 4511, 4722, 4814, 4829, 5311, 5411, 5541, 5732, 5734, 5812, 5912, 5999, 6011, 6051, 7011, 7801,
        7995,
    ] {
        all.push(Number("mcc", "==", mcc));
    }
    for days in [1, 3, 7, 14, 30, 90, 180, 365] {
        all.push(Number("customer_since_days", "<", days));
        all.push(Number("device_age_days", "<", days));
        all.push(Number("payee_first_used_days", "<", days));
    }
    for hour in [1, 3, 5, 7, 20, 21, 22, 23] {
        all.push(Number("hour", if hour < 12 { "<" } else { ">=" }, hour));
    }
    for (field, values) in [
        ("channel", &["web", "app", "pos", "atm", "moto", "api"][..]),
        ("entry_mode", &["manual", "chip", "contactless", "ecommerce", "fallback"]),
        ("funding", &["credit", "debit", "prepaid", "charge"]),
        ("wallet", &["none", "apple_pay", "google_pay", "other"]),
        ("cvv", &["match", "no_match", "not_given"]),
        ("avs", &["match", "partial", "no_match"]),
        ("issuer_country", &["SE", "NO", "DK", "FI", "DE", "US", "GB", "NG", "RU"]),
        ("merchant_country", &["SE", "NO", "DE", "US", "CN"]),
        ("delivery_type", &["home", "parcel_locker", "digital"]),
    ] {
        all.extend(values.iter().map(|value| Code(field, value)));
    }
    all
}

/// Questions about few windows: what the index was measured with from the beginning.
pub fn questions() -> Vec<Question> {
    let mut all = plain_questions();
    for count in [1, 2, 3, 5, 8] {
        all.push(Question::Window("card", "10m", count));
        all.push(Question::Window("card", "24h", count * 3));
        all.push(Question::Window("device", "1h", count));
    }
    all
}

/// Keys of the reference load.
pub const REFERENCE_KEYS: [&str; 4] = ["card", "subject", "device", "ip"];
/// Windows of each, with their length in ms.
pub const REFERENCE_SPANS: [(&str, i64); 3] = [("10m", 600_000), ("1h", 3_600_000), ("24h", 86_400_000)];

/// Questions of the reference load: the same about the payment, and one about each of twelve windows over four keys.
pub fn reference_questions() -> Vec<Question> {
    let mut all = plain_questions();
    for key in REFERENCE_KEYS {
        for (count, (span, _)) in [3, 6, 12].into_iter().zip(REFERENCE_SPANS) {
            all.push(Question::Window(key, span, count));
        }
    }
    all
}

/// So many rules of two to four questions; every fifth has a choice in it. The same for the same number.
pub fn forms(count: usize) -> Vec<Form> {
    forms_of(&questions(), count)
}

/// The same of these questions.
pub fn forms_of(questions: &[Question], count: usize) -> Vec<Form> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    (0..count)
        .map(|at| {
            // Each value is asked about once in a rule: else it could contradict itself, and would be refused.
            let mut about = Vec::new();
            let mut draw = |least: usize, spread: usize| -> Vec<Question> {
                let length = least + dice.below(spread);
                let mut drawn = Vec::new();
                while drawn.len() < length {
                    let question = &questions[dice.below(questions.len())];
                    if !about.contains(&question.subject()) {
                        about.push(question.subject());
                        drawn.push(question.clone());
                    }
                }
                drawn
            };
            Form { all: draw(2, 3), any: if at % 5 == 0 { draw(2, 1) } else { Vec::new() } }
        })
        .collect()
}

impl Question {
    /// What it asks about.
    fn subject(&self) -> (&'static str, &'static str) {
        match self {
            Self::Number(field, ..) | Self::Code(field, _) => (field, ""),
            Self::Window(key, span, _) => (key, span),
        }
    }

    /// In sparr's rules.
    pub fn rule_text(&self) -> String {
        match self {
            Self::Number(field, relation, value) => format!("{field} {relation} {value}"),
            Self::Code(field, value) => format!("{field} == \"{value}\""),
            Self::Window(key, span, count) => format!("velocity({key}, \"{span}\").count > {count}"),
        }
    }

    /// For another evaluator, in which each window is a variable.
    pub fn cel_text(&self) -> String {
        match self {
            Self::Window(key, span, count) => format!("velocity_{key}_{span} > {count}"),
            Self::Number(..) | Self::Code(..) => self.rule_text(),
        }
    }
}

impl Form {
    fn text(&self, question: impl Fn(&Question) -> String) -> String {
        let mut text = self.all.iter().map(&question).collect::<Vec<_>>().join(" && ");
        if !self.any.is_empty() {
            let any = self.any.iter().map(&question).collect::<Vec<_>>().join(" || ");
            let _ = write!(text, " && ({any})");
        }
        text
    }

    /// Its condition for another CEL evaluator.
    pub fn cel_text(&self) -> String {
        self.text(Question::cel_text)
    }
}

/// A set of rules as a risk team would write it.
pub fn sources(forms: &[Form], shipped: &Sources) -> Sources {
    let mut text = String::from("rules:\n");
    for (at, form) in forms.iter().enumerate() {
        let condition = form.text(Question::rule_text);
        let _ = write!(
            text,
            "  - id: rule-{at}\n    description: d\n    owner: o\n    mode: enforce\n    when: |\n      {condition}\n    score: 1\n    \
             reason: velocity_card\n"
        );
    }
    Sources {
        rules: vec![SourceFile { name: "rules.yaml".to_owned(), text }],
        lists: Vec::new(),
        reasons: SourceFile { name: shipped.reasons.name.clone(), text: shipped.reasons.text.clone() },
    }
}

/// A rule as one closure.
pub type Closure = Box<dyn Fn(&Facts<'_>) -> bool>;

/// Each rule as a closure that reads its own values: what a programmer would write by hand.
pub fn closures(forms: &[Form], reading: impl Fn(&str, &str) -> Option<ReadingIndex>) -> Vec<Closure> {
    let one = |question: &Question| -> Closure {
        match question {
            Question::Number(field, relation, constant) => {
                let (relation, constant) = (*relation, *constant);
                let test: fn(i64, i64) -> bool = match relation {
                    ">" => |one, other| one > other,
                    "<=" => |one, other| one <= other,
                    "<" => |one, other| one < other,
                    ">=" => |one, other| one >= other,
                    _ => |one, other| one == other,
                };
                match FieldIndex::find(field).map(|field| field.def().read) {
                    Some(Read::Int(read) | Read::Money(read)) => {
                        Box::new(move |facts| read(facts).is_some_and(|value| test(value, constant)))
                    }
                    _ => Box::new(|_| false),
                }
            }
            Question::Code(field, value) => match FieldIndex::find(field).map(|field| field.def().read) {
                Some(Read::Code(domain, read)) => {
                    let code = (domain.parse)(value);
                    Box::new(move |facts| read(facts).is_some_and(|found| Some(found) == code))
                }
                _ => Box::new(|_| false),
            },
            Question::Window(key, span, count) => {
                let (index, count) = (reading(key, span), *count);
                Box::new(move |facts| {
                    index.is_some_and(|index| match facts.reading(index) {
                        Reading::Exact(value) | Reading::Capped(value) => value > count,
                        Reading::Absent | Reading::Unknown => false,
                    })
                })
            }
        }
    };
    forms
        .iter()
        .map(|form| -> Closure {
            let all: Vec<Closure> = form.all.iter().map(one).collect();
            let any: Vec<Closure> = form.any.iter().map(one).collect();
            Box::new(move |facts| {
                all.iter().all(|test| test(facts)) && (any.is_empty() || any.iter().any(|test| test(facts)))
            })
        })
        .collect()
}
