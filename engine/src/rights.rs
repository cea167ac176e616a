//! Who may do what: member kind × role × operation × own or other, default deny. A new operation does not compile
//! without its line.

use sparr_protocol::codes::Role;
use sparr_protocol::exchange::OperationKind;
use sparr_protocol::member::MemberKind;
use sparr_protocol::record::Payload;

/// Everything that a caller can ask of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Screen an authorisation request.
    Screen,
    /// Carry out an operation of the exchange.
    Exchange(OperationKind),
    /// Tell what became of a payment.
    FinalResult,
    /// Tell what a payment turned out to be.
    Label,
}

impl Right {
    /// Every right, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Screen, Self::FinalResult, Self::Label]
            .into_iter()
            .chain(OperationKind::ALL.iter().copied().map(Self::Exchange))
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::FinalResult => "final_result",
            Self::Label => "label",
            Self::Exchange(operation) => operation.name(),
        }
    }
}

/// On whose flags, indicators or members a right may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// On nobody's: the right is not given.
    Nobody,
    /// On what the caller's own member entered.
    Own,
    /// On everybody's.
    All,
}

impl Reach {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "-",
            Self::Own => "own",
            Self::All => "all",
        }
    }
}

/// One line of the table.
type Line = (&'static [MemberKind], Role, Reach);

/// Organisations whose desks meet the person.
const DESKS: &[MemberKind] = &[MemberKind::PaymentProvider, MemberKind::Bank];
/// Organisations whose analysts may say something about a suspect.
const ANALYSTS: &[MemberKind] =
    &[MemberKind::PaymentProvider, MemberKind::Bank, MemberKind::Telecom, MemberKind::Authority];
/// Organisations that screen payments. A merchant and a telecom query; they read no lists.
const SCREENERS: &[MemberKind] =
    &[MemberKind::PaymentProvider, MemberKind::Bank, MemberKind::Merchant, MemberKind::Telecom];
const POLICE: &[MemberKind] = &[MemberKind::Police];
const CENTRE: &[MemberKind] = &[MemberKind::CentralOrganisation];
const EVERYBODY: &[MemberKind] = MemberKind::ALL;

/// Who has a right. What stands on no line is not permitted.
const fn lines(right: Right) -> &'static [Line] {
    match right {
        // A gateway answers machines. Whoever raises or lifts a flag has spoken with the person.
        Right::Screen => &[(SCREENERS, Role::Gateway, Reach::Own)],
        // The same machines know what became of it. Whoever investigates knows what it was.
        Right::FinalResult => &[(SCREENERS, Role::Gateway, Reach::Own)],
        Right::Label => &[(SCREENERS, Role::Gateway, Reach::Own), (SCREENERS, Role::Risk, Reach::Own)],
        Right::Exchange(operation) => match operation {
            OperationKind::FlagRaise
            | OperationKind::FlagPlan
            | OperationKind::FlagLift
            | OperationKind::FlagPass
            | OperationKind::FlagExtend
            | OperationKind::SubjectLink => &[(DESKS, Role::Desk, Reach::Own)],
            OperationKind::FlagLiftRequest => &[(DESKS, Role::Desk, Reach::All)],
            OperationKind::FlagStatus | OperationKind::FlagReport => {
                &[(DESKS, Role::Desk, Reach::All), (CENTRE, Role::Centre, Reach::All)]
            }
            OperationKind::FlagList => &[(DESKS, Role::Desk, Reach::Own), (CENTRE, Role::Centre, Reach::All)],
            OperationKind::FlagOverride | OperationKind::IndicatorOverride => {
                &[(CENTRE, Role::Centre, Reach::All)]
            }
            OperationKind::IndicatorDraft
            | OperationKind::IndicatorReport
            | OperationKind::IndicatorShare
            | OperationKind::IndicatorWithdraw => {
                &[(ANALYSTS, Role::Analyst, Reach::Own), (POLICE, Role::Police, Reach::Own)]
            }
            // A member's own word needs a second person, and stays visible as such.
            OperationKind::ReceiptAdd => {
                &[(ANALYSTS, Role::Analyst, Reach::Own), (POLICE, Role::Police, Reach::All)]
            }
            OperationKind::IndicatorConfirm | OperationKind::IndicatorContest => {
                &[(ANALYSTS, Role::Analyst, Reach::All), (POLICE, Role::Police, Reach::All)]
            }
            OperationKind::IndicatorList => &[
                (ANALYSTS, Role::Analyst, Reach::All),
                (POLICE, Role::Police, Reach::All),
                (CENTRE, Role::Centre, Reach::All),
            ],
            OperationKind::MemberAdmit | OperationKind::MemberSuspend | OperationKind::MemberRotateKey => {
                &[(CENTRE, Role::Centre, Reach::All)]
            }
            OperationKind::MemberList => &[
                (CENTRE, Role::Centre, Reach::All),
                (POLICE, Role::Police, Reach::All),
                (ANALYSTS, Role::Analyst, Reach::All),
                (DESKS, Role::Desk, Reach::All),
                (EVERYBODY, Role::Operator, Reach::All),
            ],
            // Whose rules they are. Two persons are asked for where it matters, by who acts, not by a role.
            OperationKind::ExemptAdd
            | OperationKind::ExemptConfirm
            | OperationKind::ExemptEnd
            | OperationKind::ExemptList
            | OperationKind::RulesReload
            | OperationKind::RulesPlan
            | OperationKind::RulesApprove
            | OperationKind::RulesRollback
            | OperationKind::RuleKill
            | OperationKind::RuleRevive
            | OperationKind::VelocityShow => &[(SCREENERS, Role::Risk, Reach::Own)],
            OperationKind::ExchangeStatus => &[
                (DESKS, Role::Desk, Reach::All),
                (ANALYSTS, Role::Analyst, Reach::All),
                (EVERYBODY, Role::Operator, Reach::All),
                (CENTRE, Role::Centre, Reach::All),
                (POLICE, Role::Police, Reach::All),
            ],
            // Whoever can stop a shipment. It names the member's own payments and nobody.
            OperationKind::RecallList | OperationKind::RecallWatch => &[
                (SCREENERS, Role::Gateway, Reach::Own),
                (SCREENERS, Role::Risk, Reach::Own),
                (SCREENERS, Role::Operator, Reach::Own),
            ],
            // Whoever answers for rules or for the engine. It shows the member's own payments, in pseudonyms.
            OperationKind::DecisionList => {
                &[(SCREENERS, Role::Risk, Reach::Own), (SCREENERS, Role::Operator, Reach::Own)]
            }
            OperationKind::ReasonName | OperationKind::IdentityCheck => &[
                (EVERYBODY, Role::Gateway, Reach::All),
                (EVERYBODY, Role::Desk, Reach::All),
                (EVERYBODY, Role::Analyst, Reach::All),
                (EVERYBODY, Role::Risk, Reach::All),
                (EVERYBODY, Role::Operator, Reach::All),
                (EVERYBODY, Role::Centre, Reach::All),
                (EVERYBODY, Role::Police, Reach::All),
            ],
        },
    }
}

/// The operation that a record is the trace of; none for kinds that this version does not know.
pub fn used_by(payload: &Payload) -> Option<OperationKind> {
    Some(match payload {
        Payload::FlagRaised { .. } => OperationKind::FlagRaise,
        Payload::FlagLifted { .. } => OperationKind::FlagLift,
        Payload::PassGranted { .. } => OperationKind::FlagPass,
        Payload::SubjectLinked { .. } => OperationKind::SubjectLink,
        Payload::FlagLiftRequested { .. } => OperationKind::FlagLiftRequest,
        Payload::FlagOverridden { .. } => OperationKind::FlagOverride,
        Payload::IndicatorDrafted { .. } => OperationKind::IndicatorDraft,
        Payload::IndicatorReported { .. } => OperationKind::IndicatorReport,
        Payload::PoliceReceipt { .. } => OperationKind::ReceiptAdd,
        Payload::IndicatorShared { .. } => OperationKind::IndicatorShare,
        Payload::IndicatorConfirmed { .. } => OperationKind::IndicatorConfirm,
        Payload::IndicatorContested { .. } => OperationKind::IndicatorContest,
        Payload::IndicatorWithdrawn { .. } => OperationKind::IndicatorWithdraw,
        Payload::IndicatorOverridden { .. } => OperationKind::IndicatorOverride,
        Payload::MemberAdmitted { .. } => OperationKind::MemberAdmit,
        Payload::MemberSuspended { .. } => OperationKind::MemberSuspend,
        Payload::SigningKeyRotated { .. } => OperationKind::MemberRotateKey,
        Payload::ExemptionGranted { .. } => OperationKind::ExemptAdd,
        Payload::ExemptionConfirmed { .. } => OperationKind::ExemptConfirm,
        Payload::ExemptionEnded { .. } => OperationKind::ExemptEnd,
        Payload::Unknown { .. } => return None,
    })
}

/// How far a right of this role at a member of this kind reaches.
pub fn reach(kind: MemberKind, role: Role, right: Right) -> Reach {
    let given = lines(right).iter().filter(|(kinds, known, _)| *known == role && kinds.contains(&kind));
    given.map(|(_, _, reach)| *reach).max().unwrap_or(Reach::Nobody)
}

/// Whether somebody may do this to what `own` says is their member's or another's.
pub fn permits(kind: MemberKind, role: Role, right: Right, own: bool) -> bool {
    match reach(kind, role, right) {
        Reach::Nobody => false,
        Reach::Own => own,
        Reach::All => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, cell by cell, against what the design says in words: who is not named may not.
    #[test]
    fn every_cell_of_the_table_is_as_the_words_say() {
        let mut given = 0;
        for kind in MemberKind::ALL.iter().copied() {
            for role in Role::ALL.iter().copied() {
                for right in Right::all() {
                    let reach = reach(kind, role, right);
                    given += usize::from(reach != Reach::Nobody);
                    let changes_flags = matches!(
                        right,
                        Right::Exchange(
                            OperationKind::FlagRaise | OperationKind::FlagLift | OperationKind::FlagPass
                        )
                    );
                    let changes_members = matches!(
                        right,
                        Right::Exchange(OperationKind::MemberAdmit | OperationKind::MemberSuspend)
                    );
                    let where_ = format!("{} {} {}", kind.name(), role.name(), right.name());
                    if right == Right::Screen {
                        assert_eq!(
                            reach != Reach::Nobody,
                            role == Role::Gateway && SCREENERS.contains(&kind),
                            "{where_}"
                        );
                    }
                    if changes_flags {
                        let desk = role == Role::Desk && DESKS.contains(&kind);
                        assert_eq!(reach, if desk { Reach::Own } else { Reach::Nobody }, "{where_}");
                    }
                    if changes_members {
                        let centre = role == Role::Centre && kind == MemberKind::CentralOrganisation;
                        assert_eq!(reach != Reach::Nobody, centre, "{where_}");
                    }
                    let own_rules = matches!(
                        right,
                        Right::Exchange(
                            OperationKind::ExemptAdd
                                | OperationKind::ExemptConfirm
                                | OperationKind::ExemptEnd
                                | OperationKind::ExemptList
                                | OperationKind::RulesReload
                                | OperationKind::RulesPlan
                                | OperationKind::RulesApprove
                                | OperationKind::RulesRollback
                                | OperationKind::RuleKill
                                | OperationKind::RuleRevive
                                | OperationKind::VelocityShow
                        )
                    );
                    let of_own_payments: Option<&[Role]> = match right {
                        Right::FinalResult => Some(&[Role::Gateway]),
                        Right::Label => Some(&[Role::Gateway, Role::Risk]),
                        Right::Exchange(OperationKind::RecallList | OperationKind::RecallWatch) => {
                            Some(&[Role::Gateway, Role::Risk, Role::Operator])
                        }
                        Right::Exchange(OperationKind::DecisionList) => Some(&[Role::Risk, Role::Operator]),
                        Right::Screen | Right::Exchange(_) => None,
                    };
                    if own_rules {
                        let risk = role == Role::Risk && SCREENERS.contains(&kind);
                        assert_eq!(reach, if risk { Reach::Own } else { Reach::Nobody }, "{where_}");
                    } else if let Some(roles) = of_own_payments {
                        let may = roles.contains(&role) && SCREENERS.contains(&kind);
                        assert_eq!(reach, if may { Reach::Own } else { Reach::Nobody }, "{where_}");
                    } else if kind == MemberKind::Merchant && !matches!(role, Role::Gateway | Role::Operator)
                    {
                        let harmless = matches!(
                            right,
                            Right::Exchange(OperationKind::ReasonName | OperationKind::IdentityCheck)
                        );
                        assert_eq!(reach != Reach::Nobody, harmless, "a merchant reads no lists: {where_}");
                    }
                    assert_eq!(permits(kind, role, right, false), reach == Reach::All, "{where_}");
                    assert_eq!(permits(kind, role, right, true), reach != Reach::Nobody, "{where_}");
                }
            }
        }
        let cells = MemberKind::ALL.len() * Role::ALL.len() * Right::all().count();
        assert!(given * 5 < cells, "{given} of {cells}: most of the table is a refusal");
    }

    #[test]
    fn a_role_without_the_right_kind_of_member_has_nothing() {
        let receipt = Right::Exchange(OperationKind::ReceiptAdd);
        assert_eq!(reach(MemberKind::Police, Role::Police, receipt), Reach::All);
        assert_eq!(reach(MemberKind::Bank, Role::Police, receipt), Reach::Nobody, "a bank's own police");
        let admit = Right::Exchange(OperationKind::MemberAdmit);
        assert_eq!(reach(MemberKind::Bank, Role::Centre, admit), Reach::Nobody, "a bank's own centre");
    }
}
