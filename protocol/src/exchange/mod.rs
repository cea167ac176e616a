//! Operations of the exchange as they travel: what desks, analysts, the police and the central organisation ask of an
//! engine, and what they hear.
//!
//! A question is a head (id, operation), a fixed structure of that operation, then texts. An answer is one fixed
//! structure; an operation with many results gets many answers, the last of which says so.

mod answer;
mod blast;
mod decisions;
mod entries;
mod exemptions;
mod flags;
mod identities;
mod indicators;
mod members;
mod recall;
mod request;
mod rules;
mod status;
mod velocity;
#[cfg(test)]
pub(crate) use answer::layouts as answer_layouts;
#[cfg(test)]
pub(crate) use blast::LAYOUT as BLAST_LAYOUT;
#[cfg(test)]
pub(crate) use decisions::LAYOUT as DECISIONS_LAYOUT;
#[cfg(test)]
pub(crate) use entries::layouts as entry_layouts;
#[cfg(test)]
pub(crate) use exemptions::layouts as exemption_layouts;
#[cfg(test)]
pub(crate) use flags::layouts as flag_layouts;
#[cfg(test)]
pub(crate) use indicators::layouts as indicator_layouts;
#[cfg(test)]
pub(crate) use members::layouts as member_layouts;
#[cfg(test)]
pub(crate) use recall::LAYOUT as RECALL_LAYOUT;
#[cfg(test)]
pub(crate) use request::layouts as request_layouts;
#[cfg(test)]
pub(crate) use status::layouts as status_layouts;
#[cfg(test)]
pub(crate) use velocity::layouts as velocity_layouts;
#[cfg(test)]
mod tests;

pub use answer::{ExchangeAnswer, PIECE_BYTES_MAX, Said};
pub use blast::BlastEntry;
pub use decisions::{Answered, DECISIONS_MAX, DecisionDetail, DecisionPlace, DecisionQuery};
pub use entries::{FlagEntry, IndicatorEntry, Look};
pub use exemptions::{ExemptionEntry, ExemptionOperation};
pub use indicators::IndicatorOperation;
pub use members::MemberOperation;
pub use recall::{RecallEntry, RecallOperation, ShortAnswer};
pub use request::{ExchangeRequest, Operation, SubjectText};
pub use rules::RulesOperation;
pub use status::{Enforcement, EngineEntry, ExchangeEntry, HeldBack, MISSING_NAMED_MAX};
pub use velocity::{KeptKey, KeyText, VelocityEntry, WindowEntry, WindowState};

use crate::codec::{self, Truncated};
use crate::codes::{AuthMethod, FlagReason, RequestedBy, Wish, codes};
use crate::flag::{Methods, Scope, Terms};
use crate::time::Timestamp;

codes! {
    /// What is asked of the exchange.
    OperationKind {
        FlagRaise = 1 "flag_raise",
        FlagLift = 2 "flag_lift",
        FlagStatus = 3 "flag_status",
        FlagList = 4 "flag_list",
        /// What a raise would change, without changing it.
        FlagPlan = 5 "flag_plan",
        FlagPass = 6 "flag_pass",
        FlagExtend = 7 "flag_extend",
        FlagLiftRequest = 8 "flag_lift_request",
        SubjectLink = 9 "subject_link",
        FlagReport = 10 "flag_report",
        FlagOverride = 11 "flag_override",
        IndicatorDraft = 16 "indicator_draft",
        IndicatorReport = 17 "indicator_report",
        ReceiptAdd = 18 "receipt_add",
        IndicatorShare = 19 "indicator_share",
        IndicatorConfirm = 20 "indicator_confirm",
        IndicatorContest = 21 "indicator_contest",
        IndicatorWithdraw = 22 "indicator_withdraw",
        IndicatorList = 23 "indicator_list",
        /// Withdraw another member's indicator: the central organisation alone, by two persons.
        IndicatorOverride = 24 "indicator_override",
        MemberAdmit = 32 "member_admit",
        MemberSuspend = 33 "member_suspend",
        MemberRotateKey = 34 "member_rotate_key",
        MemberList = 35 "member_list",
        /// Silence named rules for one key.
        ExemptAdd = 40 "exempt_add",
        ExemptConfirm = 41 "exempt_confirm",
        ExemptEnd = 42 "exempt_end",
        ExemptList = 43 "exempt_list",
        RulesReload = 48 "rules_reload",
        RulesApprove = 49 "rules_approve",
        RulesRollback = 50 "rules_rollback",
        /// One rule, or all of them.
        RuleKill = 51 "rule_kill",
        RuleRevive = 52 "rule_revive",
        /// What the rule files, if they were loaded now, would have changed among recent requests.
        RulesPlan = 53 "rules_plan",
        /// Requests that would be answered otherwise now.
        RecallList = 56 "recall_list",
        /// The same, and each other one as it is found.
        RecallWatch = 57 "recall_watch",
        /// Who is there, who lacks what, how old the state is.
        ExchangeStatus = 60 "exchange_status",
        /// The name of a reason code: any caller may ask what an answer means.
        ReasonName = 64 "reason_name",
        /// Whether numbers arrive as the people whom they name: asked when a client connects.
        IdentityCheck = 65 "identity_check",
        /// What is counted of one key.
        VelocityShow = 72 "velocity_show",
        /// Answers of the engine, as the decision log has them.
        DecisionList = 80 "decision_list",
    }

    /// Why an operation was refused. The number is forever.
    Refusal {
        /// The caller's certificate does not allow this.
        NotPermitted = 1 "not_permitted",
        /// The number names nobody.
        IdentityMalformed = 2 "identity_malformed",
        /// A value of the operation is not legal.
        FieldMalformed = 3 "field_malformed",
        /// There is no flag to lift.
        NotFlagged = 4 "not_flagged",
        /// The flag was entered by another member, which alone changes it.
        NotRegistrar = 5 "not_registrar",
        /// The end lies in the past.
        UntilInPast = 6 "until_in_past",
        /// The end lies further ahead than a flag may last.
        UntilTooFar = 7 "until_too_far",
        /// The journal could not say that the record is durable. Whether it is shows when the same operation is sent
        /// again under its id, once the journal is well.
        JournalFailed = 8 "journal_failed",
        /// The engine has not yet read all of its state, or is shutting down.
        NotReady = 9 "not_ready",
        /// This version does not do it.
        Unsupported = 10 "unsupported",
        /// The frame's checksum does not agree, or its message is cut short.
        FrameMalformed = 11 "frame_malformed",
        /// The frame is longer than a question may be.
        TooLarge = 12 "too_large",
        /// The frame is of another wire version.
        WrongVersion = 13 "wrong_version",
        /// The frame is of a kind that this version does not know.
        UnknownKind = 14 "unknown_kind",
        /// The id was used before, for another operation.
        IdConflict = 15 "id_conflict",
        /// The journal has more to do than it can do in time: try again.
        Overloaded = 16 "overloaded",
        /// No reason has this code.
        UnknownReason = 17 "unknown_reason",
        /// The value is none of its kind.
        ValueMalformed = 18 "value_malformed",
        /// A card's number: it is refused wherever it turns up.
        CardNumberRefused = 19 "card_number_refused",
        /// A value that means something at its own member alone cannot be shared.
        LocalIdentifier = 20 "local_identifier",
        /// A person whose identity was misused is a victim: raise a flag instead.
        VictimNotSuspect = 21 "victim_not_suspect",
        /// An indicator about a person says in which role.
        RoleMissing = 22 "role_missing",
        /// No indicator has this id.
        NoSuchIndicator = 23 "no_such_indicator",
        /// The police have not confirmed that they have this very content.
        ReceiptMissing = 24 "receipt_missing",
        /// One person of the member has said so; a second one has to.
        SecondPersonNeeded = 25 "second_person_needed",
        /// No legal basis is configured for sharing this kind.
        SharingOff = 26 "sharing_off",
        /// It was withdrawn.
        Withdrawn = 27 "withdrawn",
        /// Its time is over.
        Expired = 28 "expired",
        /// The signature is not the police member's over this content.
        SignatureWrong = 29 "signature_wrong",
        /// A time that lies in the future, or before what it is about.
        TimeSkew = 30 "time_skew",
        /// A confirmation needs evidence of its own.
        OwnEvidenceNeeded = 31 "own_evidence_needed",
        /// It was not shared.
        NotShared = 32 "not_shared",
        /// No member has this name.
        NoSuchMember = 33 "no_such_member",
        /// The member is suspended: it can do nothing.
        MemberSuspended = 34 "member_suspended",
        /// More different people were looked up than a member may in a day.
        LookupBudgetSpent = 35 "lookup_budget_spent",
        /// The flag has as many open passes as it may.
        TooManyPasses = 36 "too_many_passes",
        /// An extension ends later than the flag does.
        NotLonger = 37 "not_longer",
        /// Both numbers are one.
        SameSubject = 38 "same_subject",
        /// The same person has said so before; "two persons" means two.
        SamePerson = 39 "same_person",
        /// A text that people will read names somebody: a number, an address, a card.
        PersonalInText = 40 "personal_in_text",
        /// The disk is full: what protects nobody less is still taken in from a reserve (lifts, passes, withdrawals,
        /// suspensions), everything else is refused until there is room again.
        LogFull = 41 "log_full",
        /// The active rule set has no rule of this name.
        NoSuchRule = 42 "no_such_rule",
        /// More rules than one exemption may name.
        TooManyRules = 43 "too_many_rules",
        /// No exemption of the caller's member has this id.
        NoSuchExemption = 44 "no_such_exemption",
        /// No rule set waits for approval.
        NothingStaged = 45 "nothing_staged",
        /// Another rule set waits for approval than the one that was named.
        OtherSetStaged = 46 "other_set_staged",
        /// No such rule set decided before, or its copy is not whole.
        NoSuchRuleSet = 47 "no_such_rule_set",
        /// The rule files have errors; the engine's log says which. Nothing was changed.
        RulesRefused = 48 "rules_refused",
        /// It is so already.
        AlreadySo = 49 "already_so",
        /// The engine could not keep it on its disk: nothing was changed.
        NotKept = 50 "not_kept",
        /// The rule set would change more answers than the configuration allows without a word: say that it is meant.
        AcceptNeeded = 51 "accept_needed",
        /// No rule of the active set counts by this key.
        NoSuchKey = 56 "no_such_key",
        /// The engine keeps no decision log.
        LogOff = 60 "log_off",
        /// The decision log cannot be read; the engine's log says why.
        LogUnreadable = 61 "log_unreadable",
    }

    /// Where a flag stands.
    StandingCode {
        Active = 1 "active",
        /// It acts, and a lift takes effect later.
        Lifting = 2 "lifting",
        Lifted = 3 "lifted",
        Expired = 4 "expired",
    }

    /// What a raise would do.
    PlannedChange {
        /// There is no such flag: it would be new.
        New = 1 "new",
        /// The same member's flag says something else: it would be replaced.
        Replaces = 2 "replaces",
        /// The same member's flag says the same.
        Same = 3 "same",
    }

    /// How a look at a person's flag came about.
    LookedBy {
        /// A payment was screened.
        Screening = 1 "screening",
        /// A desk asked.
        Status = 2 "status",
    }
}

/// Why a message is no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Shorter than it must be, or longer than its texts.
    #[error("the message is cut short or too long for its texts")]
    Length,
    /// An operation that this version does not know.
    #[error("operation {0} is unknown")]
    Operation(u8),
    /// A value that this version does not know.
    #[error("{0} is not legal")]
    Value(&'static str),
}

impl From<Truncated> for ExchangeError {
    fn from(_: Truncated) -> Self {
        Self::Length
    }
}

codec::wire_struct! {
    /// Terms on the wire and in records.
    pub(crate) struct TermsWire / ArchivedTermsWire {
        wish: u8,
        scope: u8,
        reason: u8,
        requested_by: u8,
        authenticated_by: u8,
        reserved: u8,
        compromised: u16,
        currency: u16,
        amount_minor: i64,
        valid_until: i64,
    }
}

impl TermsWire {
    pub(crate) fn of(terms: &Terms) -> Self {
        let (scope, amount_minor, currency) = terms.scope.wire();
        Self {
            wish: terms.wish.wire(),
            scope,
            reason: terms.reason.wire(),
            requested_by: terms.requested_by.wire(),
            authenticated_by: terms.authenticated_by.wire(),
            reserved: 0,
            compromised: terms.compromised.0,
            currency,
            amount_minor,
            valid_until: terms.valid_until.ms(),
        }
    }
}

/// Reserved bytes are zero, so that a later version can give them a meaning.
fn zero(reserved: &[u8]) -> Result<(), ExchangeError> {
    if reserved.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(ExchangeError::Value("reserved")) }
}

impl ArchivedTermsWire {
    pub(crate) fn terms(&self) -> Result<Terms, ExchangeError> {
        zero(&[self.reserved])?;
        Ok(Terms {
            wish: Wish::from_wire(self.wish).ok_or(ExchangeError::Value("wish"))?,
            scope: Scope::from_wire(self.scope, self.amount_minor.to_native(), self.currency.to_native())
                .ok_or(ExchangeError::Value("scope"))?,
            reason: FlagReason::from_wire(self.reason).ok_or(ExchangeError::Value("reason"))?,
            requested_by: RequestedBy::from_wire(self.requested_by)
                .ok_or(ExchangeError::Value("requested_by"))?,
            authenticated_by: AuthMethod::from_wire(self.authenticated_by)
                .ok_or(ExchangeError::Value("authenticated_by"))?,
            compromised: Methods::from_wire(self.compromised.to_native())
                .ok_or(ExchangeError::Value("compromised"))?,
            valid_until: Timestamp::from_ms(self.valid_until.to_native()),
        })
    }
}
