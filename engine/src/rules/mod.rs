//! Rules: text in, a rule set or findings out. No file is opened here, no clock is read.
//!
//! ```text
//! yaml ─► file ─► expression ─► check ─► ir ─► compile ─► evaluate
//! a tree   drafts  a syntax      types,   typed  closures,  hits
//! with              tree with    names,   trees  each atom
//! places            places       folding         once
//! ```
//!
//! [`load`] does all of it for a whole set and tells every error of every file at once. `config/RULES.md` describes
//! the language for the people who write it.

mod check;
mod compile;
pub mod constant;
mod diagnostic;
mod digest;
mod evaluate;
mod example;
mod example_indicators;
mod example_readings;
mod explain;
mod expression;
mod fields;
mod file;
mod index;
mod interpret;
mod ir;
mod lint;
mod lists;
mod load;
mod reasons;
mod render;
mod set;
mod settings;
mod sources;
pub mod table;
mod tried;
mod truth;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

pub(crate) use check::duration_text;
pub use diagnostic::{Code, Diagnostic, Label, Severity};
pub use evaluate::Hits;
pub use example_readings::reading_text;
pub use explain::{Part, RuleExplanation};
pub use file::RULE_KEYS;
pub use load::{EVERY_RULE, Loaded, load, load_without};
#[cfg(feature = "server")]
pub(crate) use reasons::reason_names;
pub use reasons::{BUILT_IN, Reason, ReasonTable};
pub use set::{Action, Location, Mode, Rule, RuleSet};
pub use settings::Thresholds;
pub use sources::{FileId, Position, SourceFile, Sources, Span};
pub use truth::{Fault, Truth};
