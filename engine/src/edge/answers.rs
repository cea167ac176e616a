//! Answers in the words of a network: one code for each way in which a request can end, and others for named reasons.
//!
//! What a code means is between a provider and its processor; the shipped tables are a start, and say so.

use super::table::{Findings, Section};
use crate::rules::Code;
use serde_json::Value;
use sparr_protocol::response::Why;
use sparr_protocol::text::nearest;

/// How a request ended, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// No objection.
    Approve,
    /// The payer is to be asked for authentication.
    Challenge,
    /// It waits for a person, before it is executed.
    Hold,
    /// It is not to be carried out.
    Decline,
    /// Nobody could tell.
    NotScreened,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 5] = [Self::Approve, Self::Challenge, Self::Hold, Self::Decline, Self::NotScreened];

    /// Its key in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Challenge => "challenge",
            Self::Hold => "hold",
            Self::Decline => "decline",
            Self::NotScreened => "not_screened",
        }
    }

    /// The key of what stands for named reasons.
    const fn because(self) -> &'static str {
        match self {
            Self::Approve => "approve_because",
            Self::Challenge => "challenge_because",
            Self::Hold => "hold_because",
            Self::Decline => "decline_because",
            Self::NotScreened => "not_screened_because",
        }
    }
}

/// The codes of a network.
#[derive(Clone, Debug)]
pub struct Answers<C> {
    /// One for each ending, in the order of [`Ending::ALL`].
    codes: [C; 5],
    /// Those that a name stands for: of a reason, or of a "not screened (why)".
    because: Vec<(Ending, String, C)>,
}

/// An answer as `sparr screen` prints it: how it ended, and why.
pub struct Answered {
    /// How it ended. A hold is more than a challenge: a payment that waits for a person waits, whoever has authenticated.
    pub ending: Ending,
    /// The reasons, first by precedence; of a request that was not screened, why.
    pub names: Vec<String>,
}

impl Answered {
    /// What stands where there is no answer: nobody could tell.
    pub fn none() -> Self {
        Self { ending: Ending::NotScreened, names: Vec::new() }
    }

    /// Reads it; `None` where the object is no answer of this version, which is nobody's approval.
    pub fn from_json(answer: &Value) -> Option<Self> {
        if let Some(why) = answer.get("not_screened") {
            return Some(Self { ending: Ending::NotScreened, names: vec![why.as_str()?.to_owned()] });
        }
        let outcome = match answer.get("outcome")?.as_str()? {
            "approve" => Ending::Approve,
            "challenge" => Ending::Challenge,
            "decline" => Ending::Decline,
            _ => return None,
        };
        let review = match answer.get("review")?.as_str()? {
            "none" | "after" => Ending::Approve,
            "hold" => Ending::Hold,
            _ => return None,
        };
        let names = answer.get("reasons")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
        Some(Self { ending: outcome.max(review), names: names.collect::<Option<_>>()? })
    }
}

impl<C> Answers<C> {
    /// Reads `[answer]` of a table; a reason that it names must be one of those that an engine gives.
    pub(crate) fn read(
        whole: &Section<'_>,
        findings: &mut Findings,
        expected: &str,
        parse: impl Fn(&str) -> Option<C> + Copy,
    ) -> Option<Self> {
        let section = whole.section("answer", findings);
        let known: Vec<&str> = Ending::ALL.iter().flat_map(|one| [one.name(), one.because()]).collect();
        section.only(&known, findings);
        let codes = Ending::ALL.map(|one| section.need(one.name(), expected, findings, parse));
        let reasons = findings.reasons();
        let mut because = Vec::new();
        for ending in Ending::ALL {
            let entries = section.section(ending.because(), findings);
            let (names, what, code): (Vec<&str>, _, _) = match ending {
                Ending::NotScreened => {
                    let names = Why::ALL.iter().map(|why| why.name()).collect();
                    (names, "a reason for not screening", Code::UnknownValue)
                }
                Ending::Approve | Ending::Challenge | Ending::Hold | Ending::Decline => {
                    let names = reasons.iter().map(String::as_str).collect();
                    (names, "a reason that an engine gives", Code::Reason)
                }
            };
            for (name, at) in entries.keys() {
                if !names.contains(&name) {
                    let near = nearest(name, names.iter().copied());
                    let said = findings.say(code, at, format!("`{name}` is not {what}"));
                    said.help.extend(near.map(|near| format!("did you mean `{near}`?")));
                }
            }
            let all = entries.all(what, expected, findings, |name| Some(name.to_owned()), parse);
            because.extend(all.into_iter().map(|(name, code)| (ending, name, code)));
        }
        let [Some(a), Some(b), Some(c), Some(d), Some(e)] = codes else { return None };
        Some(Self { codes: [a, b, c, d, e], because })
    }

    /// The code for an answer, and the name that it stands for where it is a special one.
    pub fn code(&self, answered: &Answered) -> (&C, Option<&str>) {
        let special = answered.names.iter().find_map(|name| {
            self.because.iter().find(|(ending, known, _)| *ending == answered.ending && known == name)
        });
        match special {
            Some((_, name, code)) => (code, Some(name)),
            None => (&self.codes[answered.ending as usize], None),
        }
    }
}
