//! An authorisation response: a decision, or an honest "not screened (why)".

use crate::codec;
use crate::codes::{Outcome, Review};
use crate::field::Field;
use crate::frame::{self, MessageKind, TooLarge};
use crate::ids::{RequestId, RuleSetDigest};
use crate::limits::{ANSWER_FRAME_BYTES_MAX, FRAME_HEADER_BYTES, REASONS_MAX};
use crate::time::Timestamp;

/// Declares the reasons for not screening: number, name, whether a later try may succeed.
macro_rules! not_screened {
    ($( $(#[$doc:meta])* $variant:ident = $number:literal $name:literal retryable: $retryable:literal, )+) => {
        /// Why a request was not screened. The order is precedence, the number is forever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Why { $( $(#[$doc])* $variant = $number, )+ }

        impl Why {
            /// Every reason, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, as JSON and metrics have it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Whether the same request, sent again with the same id, may be screened.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)+ }
            }

            /// The reason of this number.
            pub const fn from_wire(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// The number on the wire.
            pub const fn wire(self) -> u8 { self as u8 }
        }
    };
}
not_screened! {
    /// The frame is of another wire version.
    WrongVersion = 1 "wrong_version" retryable: false,
    /// The frame is longer than a request may be.
    TooLarge = 2 "too_large" retryable: false,
    /// The frame's checksum does not agree, or its message is cut short or too long for its texts.
    FrameMalformed = 3 "frame_malformed" retryable: false,
    /// The caller's certificate does not allow this.
    NotPermitted = 4 "not_permitted" retryable: false,
    /// The engine has not yet read all of its state, or is shutting down.
    NotReady = 5 "not_ready" retryable: true,
    /// No rule set has ever been loaded.
    NoRules = 6 "no_rules" retryable: true,
    /// The engine has more work than it can do in time.
    Overloaded = 7 "overloaded" retryable: true,
    /// The request's own deadline passed before it was looked at.
    DeadlinePassed = 8 "deadline_passed" retryable: true,
    /// A field's value is not legal; the answer names the field.
    FieldMalformed = 9 "field_malformed" retryable: false,
    /// A number that should name a person or an organisation does not; the answer names the field.
    IdentityMalformed = 10 "identity_malformed" retryable: false,
    /// A field that the member's configuration requires for this kind is absent; the answer names it.
    FieldMissing = 11 "field_missing" retryable: false,
    /// A text carries what looks like a card number; the answer names the field.
    CardNumberRefused = 12 "card_number_refused" retryable: false,
    /// The id was used before, for another request.
    IdConflict = 13 "id_conflict" retryable: false,
    /// `event_time` is too far from the engine's clock, or older than the ids that are kept.
    TimeSkew = 14 "time_skew" retryable: false,
    /// The exchange state is older than the caller or the member accepts.
    Stale = 15 "stale" retryable: true,
    /// A rule that could have raised the result failed (overflow, cost).
    RuleError = 16 "rule_error" retryable: false,
}

/// A reason code: its number is its identity; `config/reasons.toml` has its name, rank and sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(pub u16);

/// At most eight reasons, in order of precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    codes: [u16; REASONS_MAX],
    len: u8,
}

impl Reasons {
    /// Adds a reason unless it is already there. Returns whether there was room.
    pub fn push(&mut self, reason: ReasonCode) -> bool {
        if self.iter().any(|known| known == reason) {
            return true;
        }
        match self.codes.get_mut(usize::from(self.len)) {
            Some(slot) => {
                *slot = reason.0;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    /// The reasons, first by precedence.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> + '_ {
        self.codes[..usize::from(self.len)].iter().map(|code| ReasonCode(*code))
    }
}

/// How one kind of key of a request was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Looked {
    /// The request does not carry it.
    Absent = 0,
    /// It was looked up in everything that the engine holds about it.
    Checked = 1,
    /// It was looked up, but something that the rules read of it is not yet complete.
    Warming = 2,
}

/// Declares the kinds of keys that an answer accounts for.
macro_rules! checked {
    ($($variant:ident = $place:literal $name:literal,)+) => {
        /// A kind of key that an answer accounts for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum CheckedKey { $($variant = $place,)+ }

        impl CheckedKey {
            /// Every kind, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}
checked! {
    Subject = 0 "subject",
    Card = 1 "card",
    Account = 2 "account",
    Device = 3 "device",
    Email = 4 "email",
    Phone = 5 "phone",
    Ip = 6 "ip",
    Merchant = 7 "merchant",
}

/// What was looked at, two bits for each kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked(u16);

impl Checked {
    /// Notes how a key was looked at.
    pub fn set(&mut self, key: CheckedKey, looked: Looked) {
        let shift = key as u16 * 2;
        self.0 = self.0 & !(0b11 << shift) | (looked as u16) << shift;
    }

    /// How a key was looked at.
    pub fn get(self, key: CheckedKey) -> Looked {
        match self.0 >> (key as u16 * 2) & 0b11 {
            1 => Looked::Checked,
            2 => Looked::Warming,
            _ => Looked::Absent,
        }
    }
}

/// Declares the bits that say in which way an answer is worth less than usual.
macro_rules! degraded {
    ($( $(#[$doc:meta])* $constant:ident = $bit:literal $name:literal, )+) => {
        impl Degraded {
            $( $(#[$doc])* pub const $constant: Self = Self(1 << $bit); )+

            /// Every bit with its name in JSON.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$constant, $name)),+];
        }
    };
}

/// In which ways an answer is worth less than usual: a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Degraded(u32);

degraded! {
    /// The exchange state is older than 500 ms.
    AMBER = 0 "stale_amber",
    /// The exchange state is older than 5 s.
    RED = 1 "stale_red",
    /// Shadow rules were not evaluated.
    SHADOW_SHED = 2 "shadow_shed",
    /// A velocity window is not yet full.
    WINDOW_WARMING = 3 "window_warming",
    /// A velocity reading is an upper bound: the key had more events than are kept one by one.
    VELOCITY_CAPPED = 4 "velocity_capped",
    /// An exemption silenced a rule.
    EXEMPTED = 5 "exempted",
    /// The mass-decline brake changed the result.
    BRAKED = 6 "braked",
    /// The decision is not in the decision log.
    UNLOGGED = 7 "unlogged",
    /// The answer is the one that the request asked a sandbox engine for. It decides nothing.
    SANDBOX = 8 "sandbox",
}

impl Degraded {
    /// Adds the bits of another set.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether all bits of another set are here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, as they travel.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The names of the bits that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| *name)
    }
}

/// Which state an answer was made on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Number of the engine within its member.
    pub engine: u16,
    /// The engine's epoch: a new one at each start.
    pub epoch: u32,
    /// How many records the engine had applied.
    pub index: u64,
}

/// A decision, without the circumstances of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// No objection, ask for authentication, or do not carry it out.
    pub outcome: Outcome,
    /// What a person must look at.
    pub review: Review,
    /// Until when a hold is asked for, where the rule said so.
    pub hold_until: Option<Timestamp>,
    /// Sum of the scores of the rules that hit.
    pub score: i32,
    /// Why, first by precedence.
    pub reasons: Reasons,
}

/// The natural result: what the rules say, and the floor, as if there were no exemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Natural {
    /// Its outcome.
    pub outcome: Outcome,
    /// Its review.
    pub review: Review,
    /// Its score.
    pub score: i32,
}

/// A refusal to decide: why, and which field is at fault, where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotScreened {
    /// Why.
    pub why: Why,
    /// The field at fault.
    pub field: Option<Field>,
    /// When another try makes sense, ms; 0 where it does not.
    pub retry_after_ms: u32,
}

impl From<Why> for NotScreened {
    fn from(why: Why) -> Self {
        Self { why, field: None, retry_after_ms: 0 }
    }
}

/// An authorisation response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorisationResponse {
    /// The request that it answers; zeros where its id could not be read.
    pub request_id: RequestId,
    /// The decision, or why there is none.
    pub answer: Result<Decided, NotScreened>,
    /// Digest of the rule set that decided; zeros where none was asked.
    pub rule_set_digest: RuleSetDigest,
    /// The state that it was made on.
    pub position: Position,
    /// Age of the newest confirmed exchange state, ms.
    pub staleness_ms: u32,
    /// In which ways the answer is worth less than usual.
    pub degraded: Degraded,
    /// What would have been decided without exemptions, where one silenced a rule.
    pub natural: Option<Natural>,
    /// What was looked at.
    pub checked: Checked,
    /// Microseconds from reading the request to writing the answer.
    pub engine_us: u32,
}

codec::wire_struct! {
    /// An answer on the wire, in byte order. `WIRE.md` lists the offsets; a test compares.
    #[derive(Default)]
    pub(crate) struct AnswerHead / ArchivedAnswerHead {
        request_id: [u8; 16],
        rule_set_digest: [u8; 16],
        index: u64,
        hold_until: i64,
        epoch: u32,
        staleness_ms: u32,
        degraded: u32,
        engine_us: u32,
        retry_after_ms: u32,
        score: i32,
        engine: u16,
        checked: u16,
        reasons: [u16; REASONS_MAX],
        screened: u8,
        outcome: u8,
        review: u8,
        why: u8,
        field: u8,
        reasons_len: u8,
        natural_outcome: u8,
        natural_review: u8,
        natural_score: i32,
    }
}

/// Bytes of an answer's message.
pub const ANSWER_BYTES: usize = codec::size::<AnswerHead>();
const _: () = assert!(ANSWER_BYTES == 104);
const _: () = assert!(ANSWER_BYTES + FRAME_HEADER_BYTES <= ANSWER_FRAME_BYTES_MAX);

const DECIDED: u8 = 1;
const NOT_SCREENED: u8 = 2;
const NO_HOLD: i64 = i64::MIN;

/// An answer that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not as long as an answer is.
    #[error("an answer has {ANSWER_BYTES} bytes, this message {0}")]
    Length(usize),
    /// A code that this version does not know: take it as not screened.
    #[error("{0} has a value that this version does not know")]
    UnknownValue(&'static str),
}

impl AuthorisationResponse {
    /// Appends the answer as one frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut head = AnswerHead {
            request_id: self.request_id.0,
            rule_set_digest: self.rule_set_digest.0,
            index: self.position.index,
            epoch: self.position.epoch,
            engine: self.position.engine,
            staleness_ms: self.staleness_ms,
            degraded: self.degraded.0,
            engine_us: self.engine_us,
            checked: self.checked.0,
            hold_until: NO_HOLD,
            ..AnswerHead::default()
        };
        if let Some(natural) = self.natural {
            head.natural_outcome = natural.outcome.wire();
            head.natural_review = natural.review.wire();
            head.natural_score = natural.score;
        }
        match self.answer {
            Ok(decided) => {
                head.screened = DECIDED;
                head.outcome = decided.outcome.wire();
                head.review = decided.review.wire();
                head.hold_until = decided.hold_until.map_or(NO_HOLD, Timestamp::ms);
                head.score = decided.score;
                head.reasons = decided.reasons.codes;
                head.reasons_len = decided.reasons.len;
            }
            Err(not_screened) => {
                head.screened = NOT_SCREENED;
                head.why = not_screened.why.wire();
                head.field = not_screened.field.map_or(0, Field::wire);
                head.retry_after_ms = not_screened.retry_after_ms;
            }
        }
        let appended: Result<(), TooLarge> =
            frame::append(MessageKind::ScreenAnswer, out, |out| codec::write(&head, out));
        debug_assert!(appended.is_ok(), "the assertion on ANSWER_BYTES");
    }

    /// Reads a message of kind [`MessageKind::ScreenAnswer`].
    pub fn decode(message: &[u8]) -> Result<Self, AnswerError> {
        let (head, rest) =
            codec::read::<AnswerHead>(message).map_err(|error| AnswerError::Length(error.available))?;
        if !rest.is_empty() {
            return Err(AnswerError::Length(message.len()));
        }
        let answer = match head.screened {
            DECIDED => Ok(Decided {
                outcome: Outcome::from_wire(head.outcome).ok_or(AnswerError::UnknownValue("outcome"))?,
                review: Review::from_wire(head.review).ok_or(AnswerError::UnknownValue("review"))?,
                hold_until: Some(head.hold_until.to_native())
                    .filter(|until| *until != NO_HOLD)
                    .map(Timestamp::from_ms),
                score: head.score.to_native(),
                reasons: Reasons {
                    codes: head.reasons.map(|code| code.to_native()),
                    len: head.reasons_len.min(REASONS_MAX as u8),
                },
            }),
            NOT_SCREENED => Err(NotScreened {
                why: Why::from_wire(head.why).ok_or(AnswerError::UnknownValue("why"))?,
                field: Field::from_wire(head.field),
                retry_after_ms: head.retry_after_ms.to_native(),
            }),
            _ => return Err(AnswerError::UnknownValue("screened")),
        };
        let natural = match head.natural_outcome {
            0 => None,
            outcome => Some(Natural {
                outcome: Outcome::from_wire(outcome).ok_or(AnswerError::UnknownValue("natural_outcome"))?,
                review: Review::from_wire(head.natural_review)
                    .ok_or(AnswerError::UnknownValue("natural_review"))?,
                score: head.natural_score.to_native(),
            }),
        };
        Ok(Self {
            natural,
            request_id: RequestId(head.request_id),
            answer,
            rule_set_digest: RuleSetDigest(head.rule_set_digest),
            position: Position {
                engine: head.engine.to_native(),
                epoch: head.epoch.to_native(),
                index: head.index.to_native(),
            },
            staleness_ms: head.staleness_ms.to_native(),
            degraded: Degraded(head.degraded.to_native()),
            checked: Checked(head.checked.to_native()),
            engine_us: head.engine_us.to_native(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_of_refusals_are_unique_and_keep_their_order() {
        for (place, why) in Why::ALL.iter().enumerate() {
            assert_eq!(Why::from_wire(why.wire()), Some(*why));
            assert_eq!(Why::ALL.iter().filter(|other| other.name() == why.name()).count(), 1);
            assert!(Why::ALL[..place].iter().all(|earlier| earlier < why));
        }
        assert_eq!(Why::from_wire(0), None);
    }

    #[test]
    fn reasons_keep_the_first_eight_and_no_doubles() {
        let mut reasons = Reasons::default();
        for code in [5, 3, 5, 9, 1, 2, 4, 6, 7] {
            assert!(reasons.push(ReasonCode(code)), "{code}");
        }
        assert!(!reasons.push(ReasonCode(8)));
        assert!(reasons.push(ReasonCode(9)), "already there");
        assert_eq!(reasons.iter().map(|code| code.0).collect::<Vec<_>>(), [5, 3, 9, 1, 2, 4, 6, 7]);
    }

    #[test]
    fn checked_keys_do_not_touch_each_other() {
        let mut checked = Checked::default();
        for key in CheckedKey::ALL {
            checked.set(*key, Looked::Warming);
        }
        checked.set(CheckedKey::Device, Looked::Checked);
        checked.set(CheckedKey::Ip, Looked::Absent);
        for key in CheckedKey::ALL {
            let expected = match key.name() {
                "device" => Looked::Checked,
                "ip" => Looked::Absent,
                _ => Looked::Warming,
            };
            assert_eq!(checked.get(*key), expected, "{}", key.name());
        }
    }
}
