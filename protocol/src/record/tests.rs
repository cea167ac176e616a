//! Records and commits against their own bytes.

use super::*;
use crate::codes::{AuthMethod, FlagReason, RequestedBy, Wish};
use crate::exemption::{ExemptionId, ExemptionKey, RuleNames};
use crate::flag::{MerchantRef, Methods, Scope, Terms};
use crate::ids::Pseudonym;
use crate::indicator::{ClassName, Content, ContentDigest, Grade, IndicatorKind};
use crate::member::MemberKind;
use crate::money::Currency;
use crate::time::Timestamp;

fn record(payload: Payload, legal_basis: &str) -> Record {
    let member = MemberName::parse("bank-1").expect("legal");
    Record {
        origin: Origin { member, engine: 1, epoch: 77 },
        sequence: 3,
        stamp: 1_795_366_080_000,
        previous: [9; 32],
        operation: RequestId([4; 16]),
        actor: Actor::new(member, Role::Desk, "anna").expect("legal"),
        legal_basis: legal_basis.to_owned(),
        payload,
    }
}

fn content() -> Content {
    Content {
        registrar: MemberName::parse("bank-1").expect("legal"),
        draft: RequestId([2; 16]),
        kind: IndicatorKind::Domain,
        role: None,
        grade: Grade::Confirmed,
        class: ClassName::parse("fake_shop").expect("legal"),
        key_id: 1,
        value: Pseudonym([3; 16]),
        clear: String::new(),
        drafted_at: Timestamp::from_ms(4),
        valid_until: Timestamp::from_ms(5),
    }
}

fn payloads() -> Vec<Payload> {
    let terms = Terms {
        wish: Wish::Verify,
        scope: Scope::Credit,
        reason: FlagReason::StolenIdentity,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default().with(AuthMethod::OtpSms),
        valid_until: Timestamp::from_ms(5),
    };
    let member = MemberName::parse("bank-2").expect("legal");
    let digest = ContentDigest([6; 32]);
    let raise = RecordRef { origin: Origin { member, engine: 2, epoch: 8 }, sequence: 9 };
    vec![
        Payload::FlagRaised { subject: Pseudonym([1; 16]), key_id: 1, terms },
        Payload::FlagLifted {
            subject: Pseudonym([1; 16]),
            key_id: 1,
            raise,
            requested_by: RequestedBy::Trustee,
            authenticated_by: AuthMethod::InPerson,
            second_channel: true,
            effective_from: Timestamp::from_ms(-1),
        },
        Payload::PassGranted {
            subject: Pseudonym([1; 16]),
            key_id: 1,
            merchant: MerchantRef::Organisation(Pseudonym([2; 16])),
            amount_minor: 3_000_000,
            currency: Currency::SEK,
            until: Timestamp::from_ms(9),
            requested_by: RequestedBy::Person,
            authenticated_by: AuthMethod::BankId,
        },
        Payload::SubjectLinked {
            old: Pseudonym([1; 16]),
            new: Pseudonym([2; 16]),
            key_id: 1,
            linked: true,
            requested_by: RequestedBy::Guardian,
            authenticated_by: AuthMethod::InPerson,
        },
        Payload::FlagLiftRequested {
            subject: Pseudonym([1; 16]),
            key_id: 1,
            registrar: member,
            raise,
            requested_by: RequestedBy::Person,
            authenticated_by: AuthMethod::Freja,
        },
        Payload::FlagOverridden { subject: Pseudonym([1; 16]), key_id: 1, registrar: member, raise },
        Payload::IndicatorDrafted { content: content() },
        Payload::IndicatorReported { digest },
        Payload::PoliceReceipt {
            digest,
            received_at: Timestamp::from_ms(3),
            signature: [7; 64],
            reference: "5000-K123-26".to_owned(),
        },
        Payload::IndicatorShared {
            content: Content { clear: "shop.example".to_owned(), ..content() },
            receipt: [2; 32],
        },
        Payload::IndicatorConfirmed { digest, evidence: [3; 32] },
        Payload::IndicatorContested { digest, due: Timestamp::from_ms(4), why: "another person".to_owned() },
        Payload::IndicatorWithdrawn { digest, why: "closed".to_owned() },
        Payload::IndicatorOverridden { digest, registrar: member, why: "nobody's own case".to_owned() },
        Payload::MemberAdmitted { member, kind: MemberKind::Police, key: [4; 32] },
        Payload::MemberSuspended { member, why: "fees".to_owned() },
        Payload::SigningKeyRotated { member, key: [5; 32] },
        Payload::ExemptionGranted {
            key: ExemptionKey::Subject,
            value: Pseudonym([1; 16]),
            key_id: 1,
            rules: RuleNames::parse("card-testing,night").expect("legal"),
            until: Timestamp::from_ms(9),
            why: "a known customer".to_owned(),
        },
        Payload::ExemptionConfirmed { id: ExemptionId([4; 16]) },
        Payload::ExemptionEnded { id: ExemptionId([4; 16]) },
        Payload::Unknown { kind: 33, must_understand: false, bytes: vec![1, 2, 3] },
        Payload::Unknown { kind: 200, must_understand: true, bytes: Vec::new() },
    ]
}

#[test]
fn records_round_trip_and_every_flipped_bit_and_cut_is_noticed() {
    let kinds: std::collections::HashSet<u8> = payloads().iter().map(Payload::kind).collect();
    let laid_out = RecordKind::ALL.iter().filter(|kind| {
        let empty = Payload::read(kind.wire(), true, &[]);
        !matches!(empty, Ok(Payload::Unknown { .. }))
    });
    assert!(laid_out.clone().count() >= 16 && laid_out.clone().all(|kind| kinds.contains(&kind.wire())));
    for payload in payloads() {
        for basis in ["", "dpia-2026-3"] {
            let record = record(payload.clone(), basis);
            let mut bytes = vec![0xAA];
            let range = record.encode(&mut bytes);
            let (body, rest) = Record::body(&bytes[1..]).expect("sound");
            assert_eq!((body, rest), (&bytes[range], &[][..]));
            assert_eq!(Record::decode(body), Ok(record));
            for bit in 0..bytes[1..].len() * 8 {
                let mut bad = bytes[1..].to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(Record::body(&bad).is_err(), "bit {bit}");
            }
            for end in 1..bytes.len() {
                assert!(Record::body(&bytes[1..end]).is_err(), "cut at {end}");
            }
        }
    }
}

#[test]
fn commits_round_trip_and_sign_everything_but_the_signature() {
    let commit = Commit {
        origin: record(payloads().remove(0), "").origin,
        first_sequence: 1,
        last_sequence: 3,
        head: [5; 32],
        signing_key: 1,
        signature: [6; 64],
    };
    assert_eq!(Commit::decode(&commit.encode()), Ok(commit.clone()));
    let signed = commit.signed_bytes();
    for change in [
        Commit { first_sequence: 2, ..commit.clone() },
        Commit { last_sequence: 4, ..commit.clone() },
        Commit { head: [7; 32], ..commit.clone() },
        Commit { signing_key: 2, ..commit.clone() },
        Commit { origin: Origin { epoch: 78, ..commit.origin }, ..commit.clone() },
    ] {
        assert_ne!(change.signed_bytes(), signed);
    }
    assert_eq!(Commit { signature: [0; 64], ..commit }.signed_bytes(), signed);
}
