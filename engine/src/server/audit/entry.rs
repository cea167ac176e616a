//! One line of the audit: who looked at what, with pseudonyms alone.

use serde::{Deserialize, Serialize};
use sparr_protocol::exchange::{Look, LookedBy, OperationKind};
use sparr_protocol::ids::{Actor, Pseudonym};
use sparr_protocol::member::MemberKind;
use sparr_protocol::time::Timestamp;

/// A line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The engine began to answer.
    Began {
        /// This life of it.
        epoch: u32,
    },
    /// The engine before this one did not end in order: what it answered in its last moments may be missing.
    Gap {
        /// The time of the last line before it, ms since 1970.
        last_ms: i64,
    },
    /// The engine ended in order: nothing is missing before this line.
    Stopped,
    /// Somebody asked.
    Looked(Looked),
    /// Payments of people whom nobody was ever given were screened since the last such line.
    HoneyScreened {
        /// How many times.
        times: u64,
    },
}

/// Who asked about whom, and what they heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// The operation: `flag_status`, `flag_report`, `flag_list`, `velocity_show`.
    pub operation: String,
    /// The member of the asker.
    pub member: String,
    /// What kind of organisation that is.
    pub member_kind: String,
    /// The asker's role.
    pub role: String,
    /// Who it was, as the certificate says.
    pub actor: String,
    /// Whom or what they asked about: a pseudonym, 32 hexadecimal digits. Absent for a list, and for what named nobody.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// Whether that person had a flag that acted.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub flagged: bool,
    /// Whether nobody was ever given that number: who asks walks through numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub honey: bool,
    /// Flags, or velocity keys, that were shown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown: Option<u64>,
    /// Why they were refused, if they were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
}

impl Looked {
    /// A look that is about to happen.
    pub(in crate::server) fn new(operation: OperationKind, actor: &Actor, kind: Option<MemberKind>) -> Self {
        Self {
            operation: operation.name().to_owned(),
            member: actor.member.to_string(),
            member_kind: kind.map(MemberKind::name).unwrap_or_default().to_owned(),
            role: actor.role.name().to_owned(),
            actor: actor.id().to_owned(),
            subject: None,
            flagged: false,
            honey: false,
            shown: None,
            refused: None,
        }
    }

    /// Whom it is about.
    pub(in crate::server) fn about(&mut self, pseudonym: Pseudonym) {
        self.subject = Some(hex(&pseudonym.0));
    }
}

impl Entry {
    /// The look at a flagged person that this line is, for that person's report.
    pub(super) fn look(&self) -> Option<(Pseudonym, Look)> {
        let Event::Looked(looked) = &self.event else { return None };
        if !looked.flagged || looked.refused.is_some() {
            return None;
        }
        let subject = pseudonym(looked.subject.as_deref()?)?;
        let kind = MemberKind::parse(&looked.member_kind)?;
        let at = Timestamp::from_ms(self.at_ms);
        Some((subject, Look { at, kind, by: LookedBy::Status, outcome: 0, review: 0 }))
    }
}

/// Sixteen bytes as 32 hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pseudonym(text: &str) -> Option<Pseudonym> {
    let mut bytes = [0; 16];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Pseudonym(bytes))
}
