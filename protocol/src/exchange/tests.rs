//! Operations and answers against their own bytes.

use super::*;
use crate::codes::SubjectKind;
use crate::frame::Next;
use crate::ids::{MemberName, Pseudonym, RequestId};
use crate::limits::ANSWER_FRAME_BYTES_MAX;
use crate::money::Currency;
use crate::place::Country;
use crate::response::{Position, ReasonCode};

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

#[test]
fn every_operation_round_trips_and_every_cut_is_refused() {
    let lift = Operation::FlagLift {
        subject: subject(),
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        second_channel: true,
    };
    for operation in [
        Operation::FlagRaise { subject: subject(), terms: terms() },
        lift,
        Operation::FlagStatus { subject: subject() },
        Operation::FlagList,
        Operation::ReasonName { code: ReasonCode(513) },
    ] {
        let request = ExchangeRequest { id: RequestId([9; 16]), operation };
        let mut bytes = Vec::new();
        request.encode(&mut bytes).expect("fits");
        let message = open(&bytes, crate::limits::REQUEST_FRAME_BYTES_MAX);
        assert_eq!(ExchangeRequest::decode(message), Ok(request.clone()));
        for end in 0..message.len() {
            assert!(
                ExchangeRequest::decode(&message[..end]).is_err(),
                "{:?} cut at {end}",
                request.operation
            );
        }
        assert_eq!(ExchangeRequest::decode(&[message, &[0]].concat()), Err(ExchangeError::Length));
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
    };
    for said in [
        Said::Durable { peers: 0, effective_from: Timestamp::from_ms(7) },
        Said::Refused(Refusal::NotRegistrar),
        Said::Flag(entry.clone()),
        Said::Flag(FlagEntry { lifted_from: None, ..entry }),
        Said::End,
        Said::Reason("velocity_card".to_owned()),
    ] {
        let answer = ExchangeAnswer {
            id: RequestId([1; 16]),
            position: Position { engine: 2, epoch: 3, index: 4 },
            said,
        };
        let mut bytes = Vec::new();
        answer.encode(&mut bytes);
        assert_eq!(ExchangeAnswer::decode(open(&bytes, ANSWER_FRAME_BYTES_MAX)), Ok(answer));
    }
}

#[test]
fn the_subject_is_not_in_the_debug_text() {
    let request =
        ExchangeRequest { id: RequestId([9; 16]), operation: Operation::FlagStatus { subject: subject() } };
    assert!(!format!("{request:?}").contains("1212"));
}
