//! Operations and answers against their own bytes.

use super::*;
use crate::codes::{Outcome, Review, SubjectKind};
use crate::exemption::{ExemptionId, ExemptionKey, ExemptionStanding, RuleNames};
use crate::frame::Next;
use crate::ids::{MemberName, Pseudonym, RequestId, RuleSetDigest};
use crate::indicator::{
    Attestation, ClassName, Content, ContentDigest, Grade, IndicatorId, IndicatorKind, IndicatorRole,
    IndicatorStanding,
};
use crate::limits::EXCHANGE_ANSWER_FRAME_BYTES_MAX;
use crate::member::{MemberEntry, MemberKind, MemberStanding};
use crate::money::Currency;
use crate::place::Country;
use crate::record::RecordKind;
use crate::response::{Position, ReasonCode, Why};

fn terms() -> Terms {
    Terms {
        wish: Wish::Deny,
        scope: Scope::Above { amount_minor: 3_000_000, currency: Currency::SEK },
        reason: FlagReason::Scam,
        requested_by: RequestedBy::Guardian,
        authenticated_by: AuthMethod::InPerson,
        compromised: Methods::default().with(AuthMethod::BankId).with(AuthMethod::OtherMethod),
        valid_until: Timestamp::from_ms(1_830_297_599_000),
    }
}

fn subject() -> SubjectText {
    SubjectText { text: "19121212-1212".into(), kind: SubjectKind::SePerson, country: Country::parse("SE") }
}

fn open(bytes: &[u8], max: usize) -> &[u8] {
    let Next::Frame { frame, consumed } = Next::parse(bytes, max) else { panic!("one frame") };
    assert_eq!(consumed, bytes.len());
    frame.open().expect("sound").1
}

fn key(name: &str, value: &str) -> KeyText {
    KeyText { name: name.to_owned(), value: value.into() }
}

#[test]
fn every_operation_round_trips_and_every_cut_is_refused() {
    let lift = Operation::FlagLift {
        subject: subject(),
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        second_channel: true,
    };
    let registrar = MemberName::parse("bank-2").expect("legal");
    let (requested_by, authenticated_by) = (RequestedBy::Estate, AuthMethod::InPerson);
    let (id, at) = (IndicatorId([7; 16]), Timestamp::from_ms(99));
    let digest = RuleSetDigest([8; 16]);
    let operations = vec![
        Operation::FlagRaise { subject: subject(), terms: terms() },
        lift,
        Operation::FlagStatus { subject: subject() },
        Operation::FlagList,
        Operation::ExchangeStatus,
        Operation::ReasonName { code: ReasonCode(513) },
        Operation::IdentityCheck { answers: Vec::new() },
        Operation::IdentityCheck { answers: vec!["19121212-1212".into(), "-".into()] },
        Operation::FlagPlan { subject: subject(), terms: terms() },
        Operation::FlagPass {
            subject: subject(),
            merchant: "m1".to_owned(),
            amount_minor: 3_000_000,
            currency: Currency::SEK,
            until: at,
            requested_by,
            authenticated_by,
        },
        Operation::FlagExtend { subject: subject(), until: at, requested_by, authenticated_by },
        Operation::FlagLiftRequest { subject: subject(), registrar, requested_by, authenticated_by },
        Operation::SubjectLink {
            old: subject(),
            new: SubjectText { text: "196408233234".into(), ..subject() },
            linked: true,
            requested_by,
            authenticated_by,
        },
        Operation::FlagReport { subject: subject() },
        Operation::FlagOverride { subject: subject(), registrar },
        Operation::Indicator(IndicatorOperation::Draft {
            kind: IndicatorKind::Email,
            value: "anna@example.se".into(),
            role: Some(IndicatorRole::Applicant),
            grade: Grade::Investigated,
            class: ClassName::parse("phishing").expect("legal"),
            valid_until: Some(at),
        }),
        Operation::Indicator(IndicatorOperation::Report(id)),
        Operation::Indicator(IndicatorOperation::Receipt {
            id,
            reference: "5000-K123-26".to_owned(),
            received_at: at,
            signature: Some(Box::new([3; 64])),
        }),
        Operation::Indicator(IndicatorOperation::Share(id)),
        Operation::Indicator(IndicatorOperation::Confirm { id, evidence: [4; 32] }),
        Operation::Indicator(IndicatorOperation::Contest { id, due: at, why: "another person".to_owned() }),
        Operation::Indicator(IndicatorOperation::Withdraw { id, why: "closed".to_owned() }),
        Operation::Indicator(IndicatorOperation::Override { id, why: "not the police's".to_owned() }),
        Operation::Indicator(IndicatorOperation::List(None)),
        Operation::Indicator(IndicatorOperation::List(Some(id))),
        Operation::Member(MemberOperation::Admit {
            member: registrar,
            kind: MemberKind::Telecom,
            key: [5; 32],
        }),
        Operation::Member(MemberOperation::Suspend { member: registrar, why: "fees".to_owned() }),
        Operation::Member(MemberOperation::RotateKey { member: registrar, key: [6; 32] }),
        Operation::Member(MemberOperation::List),
        Operation::Exemption(ExemptionOperation::Add {
            key: ExemptionKey::Card,
            value: "tok-1".into(),
            rules: RuleNames::parse("card-testing,night").expect("legal"),
            until: at,
            why: "a known customer".to_owned(),
        }),
        Operation::Exemption(ExemptionOperation::Confirm(ExemptionId([7; 16]))),
        Operation::Exemption(ExemptionOperation::End(ExemptionId([7; 16]))),
        Operation::Exemption(ExemptionOperation::List),
        Operation::Rules(RulesOperation::Reload { accept: false }),
        Operation::Rules(RulesOperation::Reload { accept: true }),
        Operation::Rules(RulesOperation::Plan),
        Operation::Recall(RecallOperation::List(7)),
        Operation::Recall(RecallOperation::Watch(0)),
        Operation::DecisionList(Box::new(DecisionQuery {
            request: Some(RequestId([3; 16])),
            since: Timestamp::from_ms(5),
            until: Timestamp::from_ms(6),
            after: DecisionPlace { segment: 7, at: 8 },
            limit: DECISIONS_MAX,
            answer: Answered::NotScreened,
            member: Some(registrar),
            rule: Some("card-testing".to_owned()),
            detail: DecisionDetail { rerun: true, explain: true, export: false },
        })),
        Operation::Rules(RulesOperation::Approve(digest)),
        Operation::Rules(RulesOperation::Rollback(Some(digest))),
        Operation::Rules(RulesOperation::Rollback(None)),
        Operation::Rules(RulesOperation::Kill("card-testing".to_owned())),
        Operation::Rules(RulesOperation::Revive("card-testing".to_owned())),
        Operation::Rules(RulesOperation::KillAll),
        Operation::Rules(RulesOperation::ReviveAll),
        Operation::VelocityShow { first: key("card", "tok-1"), second: None },
        Operation::VelocityShow {
            first: key("subject", "191212121212"),
            second: Some(key("merchant", "m1")),
        },
    ];
    let covered: std::collections::HashSet<_> = operations.iter().map(Operation::kind).collect();
    assert!(OperationKind::ALL.iter().all(|kind| covered.contains(kind)), "an operation is not tested");
    for operation in operations {
        let request = ExchangeRequest { id: RequestId([9; 16]), operation };
        let mut bytes = Vec::new();
        request.encode(&mut bytes).expect("fits");
        let message = open(&bytes, crate::limits::REQUEST_FRAME_BYTES_MAX);
        assert_eq!(ExchangeRequest::decode(message), Ok(request.clone()));
        for end in 0..message.len() {
            // What is named may be left out: one indicator becomes all, that set the one before, one rule all of them.
            let means_less = match &request.operation {
                Operation::Indicator(IndicatorOperation::List(Some(_)))
                | Operation::Rules(RulesOperation::Rollback(Some(_))) => message.len() - end == 16,
                Operation::Rules(RulesOperation::Kill(rule) | RulesOperation::Revive(rule)) => {
                    message.len() - end == 1 + rule.len()
                }
                Operation::Rules(RulesOperation::Reload { accept }) => *accept && message.len() - end == 1,
                Operation::DecisionList(query) => {
                    query.rule.as_ref().is_some_and(|rule| message.len() - end == 1 + rule.len())
                }
                _ => false,
            };
            assert!(
                means_less || ExchangeRequest::decode(&message[..end]).is_err(),
                "{:?} cut at {end}",
                request.operation
            );
        }
        assert_eq!(ExchangeRequest::decode(&[message, &[0]].concat()), Err(ExchangeError::Length));
    }
}

/// An indicator with everything and the longest texts: it has to fit an answer.
fn longest_indicator() -> IndicatorEntry {
    let content = Content {
        registrar: MemberName::parse("bank-1").expect("legal"),
        draft: RequestId([2; 16]),
        kind: IndicatorKind::Domain,
        role: Some(IndicatorRole::FakeShop),
        grade: Grade::Confirmed,
        class: ClassName::parse("fake_shop").expect("legal"),
        key_id: 1,
        value: Pseudonym([3; 16]),
        clear: "x".repeat(crate::limits::TEXT_BYTES_MAX),
        drafted_at: Timestamp::from_ms(4),
        valid_until: Timestamp::from_ms(5),
    };
    IndicatorEntry {
        digest: ContentDigest([6; 32]),
        content,
        standing: IndicatorStanding::Shared,
        attested: Some(Attestation::Police),
        sources: 3,
        reference: "y".repeat(crate::limits::REFERENCE_BYTES_MAX),
    }
}

#[test]
fn every_answer_round_trips() {
    let entry = FlagEntry {
        subject: Pseudonym([3; 16]),
        registrar: MemberName::parse("bank-1").expect("legal"),
        standing: StandingCode::Lifting,
        terms: terms(),
        raised_at: Timestamp::from_ms(5),
        lifted_from: Some(Timestamp::from_ms(6)),
        passes: 2,
        lift_requests: 1,
        is_linked: true,
        override_waits: true,
    };
    let member = MemberEntry {
        member: entry.registrar,
        kind: MemberKind::Police,
        standing: MemberStanding::Suspended,
        key_number: 3,
        key: [8; 32],
    };
    let look = Look {
        at: Timestamp::from_ms(8),
        kind: MemberKind::Bank,
        by: LookedBy::Screening,
        outcome: 2,
        review: 1,
    };
    let entry_registrar = entry.registrar;
    let engine = EngineEntry {
        member: entry.registrar,
        engine: 2,
        epoch: 3,
        sequence: 4,
        digest: [5; 16],
        is_own: false,
        is_live: true,
        heard_ms: Some(80),
        behind_ms: Some(9),
        held_back: Some(HeldBack::SignatureWrong),
        lacks: 10,
        rule_set: Some([6; 16]),
    };
    let velocity = VelocityEntry {
        key: "k".repeat(crate::limits::TEXT_BYTES_MAX),
        value: Pseudonym([1; 16]),
        second: Some(Pseudonym([2; 16])),
        kept: Some(KeptKey {
            first: Timestamp::from_ms(1),
            newest: Timestamp::from_ms(2),
            kept_until: Timestamp::from_ms(3),
            events: 4,
            panes: 5,
            bytes: 6,
        }),
    };
    let window = WindowEntry {
        reading: "r".repeat(crate::limits::TEXT_BYTES_MAX),
        state: WindowState::Capped,
        value: 7,
        full_at: Some(Timestamp::from_ms(8)),
    };
    for said in [
        Said::Exemption(Box::new(ExemptionEntry {
            id: ExemptionId([7; 16]),
            key: ExemptionKey::Account,
            value: Pseudonym([3; 16]),
            standing: ExemptionStanding::Waiting,
            granted_at: Timestamp::from_ms(5),
            until: Timestamp::from_ms(6),
            rules: RuleNames::new(
                (0..RuleNames::MAX).map(|at| format!("{at}").repeat(RuleNames::NAME_BYTES_MAX)),
            )
            .expect("legal"),
            why: "y".repeat(crate::limits::REFERENCE_BYTES_MAX),
        })),
        Said::RuleSet { digest: RuleSetDigest([9; 16]), staged: true },
        Said::Blast(Box::new(BlastEntry {
            digest: RuleSetDigest([9; 16]),
            requests: 1,
            changes: 2,
            declines_before: 3,
            declines_after: 4,
            people: 5,
            flagged: 6,
            sentence: "z".repeat(crate::limits::TEXT_BYTES_MAX),
        })),
        Said::Recalled(Box::new(RecallEntry {
            number: 1,
            request_id: RequestId([4; 16]),
            payment_id: Some("p".repeat(crate::limits::PAYMENT_ID_BYTES_MAX)),
            answered_at: Timestamp::from_ms(5),
            found_at: Timestamp::from_ms(6),
            was: Ok((Outcome::Approve, Review::NoReview)),
            is: Err(Why::RuleError),
            cause: RecordKind::FlagRaised,
        })),
        Said::Durable { peers: 0, effective_from: Timestamp::from_ms(7), second_person: true },
        Said::Refused(Refusal::NotRegistrar),
        Said::Flag(entry.clone()),
        Said::Flag(FlagEntry { lifted_from: None, override_waits: false, ..entry }),
        Said::End,
        Said::Reason("velocity_card".to_owned()),
        Said::Line("Raised on 22 November.".to_owned()),
        Said::Drafted { digest: ContentDigest([9; 32]), effective_from: Timestamp::from_ms(7) },
        Said::Indicator(Box::new(longest_indicator())),
        Said::Member(member),
        Said::Enforcement(Box::new(Enforcement {
            at: 36,
            held: 0,
            of: 37,
            took_ms: Some(41),
            slowest: Some(entry_registrar),
            missing: vec![entry_registrar; MISSING_NAMED_MAX],
        })),
        Said::Enforcement(Box::new(Enforcement {
            at: 1,
            held: 2,
            of: 3,
            took_ms: None,
            slowest: None,
            missing: Vec::new(),
        })),
        Said::Exchange(Box::new(ExchangeEntry {
            networked: true,
            linked: false,
            joined: true,
            staleness_ms: 7,
            waiting: 1,
            gaps: 2,
            questions: 3,
            repaired: 4,
            refused: 5,
        })),
        Said::Engine(Box::new(engine)),
        Said::Engine(Box::new(EngineEntry {
            heard_ms: None,
            behind_ms: None,
            held_back: None,
            rule_set: None,
            ..engine
        })),
        Said::Piece("å".repeat(PIECE_BYTES_MAX / 2)),
        Said::Plan(PlannedChange::Replaces),
        Said::Look(look),
        Said::Velocity(Box::new(velocity.clone())),
        Said::Velocity(Box::new(VelocityEntry { second: None, kept: None, ..velocity })),
        Said::Window(Box::new(window.clone())),
        Said::Window(Box::new(WindowEntry { full_at: None, ..window })),
    ] {
        let answer = ExchangeAnswer {
            id: RequestId([1; 16]),
            position: Position { engine: 2, epoch: 3, index: 4 },
            said,
        };
        let mut bytes = Vec::new();
        answer.encode(&mut bytes);
        assert_eq!(ExchangeAnswer::decode(open(&bytes, EXCHANGE_ANSWER_FRAME_BYTES_MAX)), Ok(answer));
    }
}

#[test]
fn the_subject_is_not_in_the_debug_text() {
    let request =
        ExchangeRequest { id: RequestId([9; 16]), operation: Operation::FlagStatus { subject: subject() } };
    assert!(!format!("{request:?}").contains("1212"));
}
