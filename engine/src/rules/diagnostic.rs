//! What is wrong with a rule set: one type for every finding, from a YAML slip to a failing example.
//!
//! A code is stable: scripts and documents name it. Its severity is part of it, because a finding that stops a set
//! from loading must not become a warning without anybody deciding so.

use super::sources::Span;

/// Whether a finding stops a set from loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The set does not load.
    Error,
    /// The set loads.
    Warning,
}

impl Severity {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Declares the codes: number, severity, what the finding is.
macro_rules! codes {
    ($( $variant:ident = $text:literal $severity:ident $title:literal, )+) => {
        /// What kind of finding it is. The text is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( #[doc = $title] $variant, )+ }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable text, such as `E012`.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Whether it stops a set from loading.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}
codes! {
    Syntax = "E001" Error "the file is not YAML, TOML or CSV",
    NotUsedHere = "E002" Error "YAML that rule files do without: anchors, aliases, tags, several documents",
    FileBounds = "E003" Error "a file is too large, nested too deeply or cut off",
    DuplicateKey = "E004" Error "a key is given twice",
    UnknownKey = "E005" Error "a key that is not known",
    MissingKey = "E006" Error "a key that is needed is missing",
    Value = "E007" Error "a value that its key cannot have",
    DuplicateId = "E008" Error "two rules, lists or reasons have one name or number",
    Action = "E009" Error "not exactly one of then, review and score",
    Reason = "E010" Error "a reason that is unknown, missing or the engine's own",
    Settings = "E011" Error "thresholds, time zone or rates that do not fit",
    ListLine = "E012" Error "a line of a list that does not fit its use",
    SetBounds = "E013" Error "the set has too many rules or readings, or costs too much",
    ForeignOperator = "E020" Error "an operator of another language",
    Unclosed = "E021" Error "a quote or bracket that has no partner",
    Unexpected = "E022" Error "something that does not belong where it stands",
    ExpressionBounds = "E023" Error "a condition is too long or nested too deeply",
    NotInProfile = "E024" Error "CEL that is not part of sparr's profile",
    UnknownField = "E025" Error "a field that does not exist",
    UnknownFunction = "E026" Error "a function that does not exist",
    UnknownValue = "E027" Error "a name that is no value of the field",
    UnknownList = "E028" Error "a list that does not exist",
    Type = "E029" Error "a value of the wrong type",
    Money = "E030" Error "an amount together with a fraction",
    Argument = "E031" Error "an argument that is missing, superfluous or of the wrong form",
    Pattern = "E032" Error "a pattern that cannot be used",
    Constant = "E033" Error "a constant calculation that fails",
    NotYet = "E034" Error "a name that this version does not offer",
    Personal = "E035" Error "a personal value, of which a rule may only ask whether it is there",
    Separation = "E036" Error "a decline because a person asked for protection",
    OnlyPersonal = "E037" Error "a decline because of personal attributes alone",
    SubjectAlone = "E038" Error "a decline because of an indicator on a person alone",
    Contested = "E039" Error "more than a review because of a contested indicator",
    Example = "E040" Error "an example that the rule does not agree with",
    ExampleForm = "E041" Error "an example that is no request",
    Test = "E042" Error "a request of a test that comes out otherwise",
    TestForm = "E043" Error "a test that is no test",
    Unsatisfiable = "E044" Error "a condition that contradicts itself",
    NoExamples = "W001" Warning "a rule without examples",
    NoOwner = "W002" Warning "a rule without an owner",
    AlwaysTrue = "W003" Warning "a condition that always holds",
    NeverTrue = "W004" Warning "a condition that never holds",
    UnusedList = "W005" Warning "a list that no rule uses",
    Expired = "W006" Warning "a rule whose time is over",
    DuplicateCondition = "W007" Warning "two rules with the same condition",
    NoDescription = "W008" Warning "a rule without a description",
    NoRules = "W009" Warning "a set without rules",
    Covered = "W010" Warning "a rule that an earlier rule covers",
    ExampleRepeats = "W011" Warning "an example that no condition needs",
}

/// A stretch of a file with what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub at: Span,
    /// What; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// Where it is.
    pub primary: Label,
    /// What else has to do with it.
    pub secondary: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A finding at a place.
    pub(crate) fn new(code: Code, at: Span, message: impl Into<String>) -> Self {
        let primary = Label { at, text: String::new() };
        Self { code, message: message.into(), primary, secondary: Vec::new(), help: Vec::new() }
    }

    /// How much it matters.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether it stops a set from loading.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }

    /// Says something of the place itself.
    pub(super) fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// Points to another place.
    pub(super) fn also(mut self, at: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { at, text: text.into() });
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// "Did you mean …?", where a name is near.
    pub(crate) fn did_you_mean(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codes_letter_is_its_severity_and_no_code_is_used_twice() {
        for (at, code) in Code::ALL.iter().enumerate() {
            let letter = match code.severity() {
                Severity::Error => 'E',
                Severity::Warning => 'W',
            };
            assert!(code.text().starts_with(letter), "{}", code.text());
            assert!(Code::ALL[at + 1..].iter().all(|other| other.text() != code.text()), "{}", code.text());
        }
    }
}
