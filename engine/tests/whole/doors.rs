//! Everybody who knocks wrongly gets an error of their own, is counted, and moves nothing else.

use crate::support::{Answer, EngineProcess, TOLVAN, id, send_raw, text};
use sparr_protocol::codes::Kind;
use sparr_protocol::exchange::{ExchangeRequest, Operation, Refusal, Said};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::response::Why;
use sparr_protocol::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_ms(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

fn request(number: u8) -> AuthorisationRequest {
    let mut request = AuthorisationRequest::new(RequestId([number; 16]), Kind::Invoice, now());
    request.subject = Some(TOLVAN.into());
    request.amount_minor = Some(100);
    request
}

fn frame(request: &AuthorisationRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes).expect("fits");
    bytes
}

/// A frame with its header made anew over whatever its message is now.
fn reframed(mut bytes: Vec<u8>, version: u8, kind: u8) -> Vec<u8> {
    let length = (bytes.len() - 8) as u16;
    bytes[..2].copy_from_slice(&length.to_le_bytes());
    bytes[2..4].copy_from_slice(&[version, kind]);
    let checksum = crc32c(&[&bytes[..4], &bytes[8..]].concat());
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-32C bit by bit: a second opinion on the checksum.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 },
        )
    })
}

/// What an answer says: its id, and why it was refused or that it was decided.
fn said(answer: &Answer) -> (RequestId, String) {
    match answer {
        Answer::Screen(response) => (
            response.request_id,
            match response.answer {
                Ok(_) => "decided".to_owned(),
                Err(not_screened) => {
                    let field =
                        not_screened.field.map_or_else(String::new, |field| format!(" {}", field.name()));
                    format!("{}{field}", not_screened.why.name())
                }
            },
        ),
        Answer::Exchange(answer) => (
            answer.id,
            match &answer.said {
                Said::Refused(refusal) => format!("refused {}", refusal.name()),
                other => format!("{other:?}"),
            },
        ),
    }
}

#[test]
fn each_malformed_frame_gets_its_own_error_with_the_id_where_it_can_be_read() {
    let engine = EngineProcess::start();
    let gateway = engine.client("gateway");
    let set = |at: usize, value: u8| {
        let mut bytes = frame(&request(7));
        bytes[8 + at] = value;
        reframed(bytes, 1, 1)
    };
    let with = |change: &dyn Fn(&mut AuthorisationRequest)| {
        let mut request = request(7);
        change(&mut request);
        frame(&request)
    };
    let mut flipped = frame(&request(7));
    flipped[60] ^= 1;
    let mut oversized = frame(&request(7));
    oversized.resize(2_000, 0);
    let whole = frame(&request(7));
    let mut short = whole[..100].to_vec();
    short = reframed(short, 1, 1);

    let all_sevens = RequestId([7; 16]);
    let table: Vec<(&str, Vec<u8>, RequestId, String)> = vec![
        ("another version", reframed(whole.clone(), 2, 1), all_sevens, "wrong_version".into()),
        ("an unknown kind", reframed(whole.clone(), 1, 77), all_sevens, "refused unknown_kind".into()),
        ("an answer's kind", reframed(whole.clone(), 1, 129), all_sevens, "refused unknown_kind".into()),
        ("no final result", reframed(whole.clone(), 1, 2), all_sevens, "refused frame_malformed".into()),
        ("no label", reframed(whole.clone(), 1, 3), all_sevens, "refused field_malformed".into()),
        ("a flipped bit", flipped, all_sevens, "frame_malformed".into()),
        ("an oversized frame", reframed(oversized, 1, 1), all_sevens, "too_large".into()),
        ("a truncated message", short, all_sevens, "frame_malformed".into()),
        ("a frame that is cut off", whole[..100].to_vec(), all_sevens, "frame_malformed".into()),
        ("a header that is cut off", whole[..5].to_vec(), RequestId::UNREADABLE, "frame_malformed".into()),
        ("an unknown kind of payment", set(138, 99), all_sevens, "field_malformed kind".into()),
        ("a value in an absent field", set(140, 1), all_sevens, "field_malformed channel".into()),
        ("a reserved byte", set(160, 1), all_sevens, "field_malformed reserved".into()),
        (
            "a malformed identity",
            with(&|r| r.subject = Some("191212121213".into())),
            all_sevens,
            "identity_malformed subject".into(),
        ),
        (
            "an interim number",
            with(&|r| r.subject = Some("000101-T220".into())),
            all_sevens,
            "identity_malformed subject".into(),
        ),
        (
            "a malformed payee",
            with(&|r| r.payee_subject = Some("5560160681".into())),
            all_sevens,
            "identity_malformed payee_subject".into(),
        ),
        (
            "a card number",
            with(&|r| r.payment_id = Some("4111 1111 1111 1111".into())),
            all_sevens,
            "card_number_refused payment_id".into(),
        ),
        (
            "no e-mail address",
            with(&|r| r.email = Some("anna".into())),
            all_sevens,
            "field_malformed email".into(),
        ),
        (
            "a negative amount",
            with(&|r| r.amount_minor = Some(-1)),
            all_sevens,
            "field_malformed amount_minor".into(),
        ),
        (
            "an old request",
            with(&|r| r.event_time = Some(Timestamp::from_ms(1))),
            all_sevens,
            "time_skew event_time".into(),
        ),
        (
            "an unknown operation",
            reframed([&[0; 8][..], &[7; 16], &[99, 0, 0, 0, 0, 0, 0, 0]].concat(), 1, 4),
            all_sevens,
            "refused unsupported".into(),
        ),
        (
            "an operation without its text",
            reframed([&[0; 8][..], &[7; 16], &[3, 0, 0, 0, 0, 0, 0, 0]].concat(), 1, 4),
            all_sevens,
            "refused not_permitted".into(),
        ),
    ];
    for (what, bytes, id, expected) in table {
        if what == "an operation without its text" {
            let desk = engine.client("desk");
            let answers: Vec<_> = send_raw(&desk, &bytes).iter().map(said).collect();
            assert_eq!(answers, [(id, "refused frame_malformed".to_owned())], "{what}");
            continue;
        }
        let answers: Vec<_> = send_raw(&gateway, &bytes).iter().map(said).collect();
        assert_eq!(answers, [(id, expected)], "{what}");
    }

    for (why, at_least) in [
        (Why::WrongVersion, 1.0),
        (Why::TooLarge, 1.0),
        (Why::FrameMalformed, 4.0),
        (Why::FieldMalformed, 5.0),
        (Why::IdentityMalformed, 3.0),
        (Why::CardNumberRefused, 1.0),
        (Why::TimeSkew, 1.0),
    ] {
        let counted = engine.metric(&format!("sparr_not_screened_total{{why=\"{}\"}}", why.name()));
        assert!(counted >= at_least, "{}: {counted}", why.name());
    }
    assert_eq!(engine.metric("sparr_refusals_total{why=\"unsupported\"}"), 1.0);
    assert_eq!(engine.metric("sparr_refusals_total{why=\"unknown_kind\"}"), 2.0);
    assert_eq!(engine.metric("sparr_flags{state=\"known\"}"), 0.0, "nothing else has moved");
    assert_eq!(engine.metric("sparr_journal_records_total"), 0.0, "nothing else has moved");
}

#[test]
fn a_bad_frame_does_not_spoil_its_neighbours() {
    let engine = EngineProcess::start();
    let mut oversized = frame(&request(2));
    oversized.resize(60_000, 0);
    let stream = [
        frame(&request(1)),
        reframed(oversized, 1, 1),
        reframed(frame(&request(3)), 1, 3),
        reframed(frame(&request(4)), 9, 1),
        frame(&request(5)),
    ]
    .concat();
    let answers: Vec<_> = send_raw(&engine.client("gateway"), &stream).iter().map(said).collect();
    let expected = [
        (1, "decided"),
        (2, "too_large"),
        (3, "refused field_malformed"),
        (4, "wrong_version"),
        (5, "decided"),
    ];
    assert_eq!(answers, expected.map(|(number, said)| (RequestId([number; 16]), said.to_owned())));
    // Once the boundaries of frames are lost, what follows is not guessed at.
    let mut flipped = frame(&request(6));
    flipped[40] ^= 1;
    let stream = [flipped, frame(&request(7))].concat();
    let answers: Vec<_> = send_raw(&engine.client("gateway"), &stream).iter().map(said).collect();
    assert_eq!(answers, [(RequestId([6; 16]), "frame_malformed".to_owned())]);
}

#[test]
fn a_role_does_what_it_may_and_nothing_else() {
    let engine = EngineProcess::start();
    let status = |number: u8| {
        let subject = sparr_protocol::exchange::SubjectText {
            text: TOLVAN.into(),
            kind: sparr_protocol::codes::SubjectKind::SePerson,
            country: None,
        };
        let operation = Operation::FlagStatus { subject };
        let mut bytes = Vec::new();
        ExchangeRequest { id: RequestId([number; 16]), operation }.encode(&mut bytes).expect("fits");
        bytes
    };
    for role in ["desk", "analyst", "risk", "operator", "centre", "police"] {
        let answers: Vec<_> = send_raw(&engine.client(role), &frame(&request(1))).iter().map(said).collect();
        assert_eq!(answers, [(RequestId([1; 16]), "not_permitted".to_owned())], "{role}");
    }
    for (role, may) in
        [("gateway", false), ("desk", true), ("analyst", false), ("centre", true), ("police", false)]
    {
        let answers: Vec<_> = send_raw(&engine.client(role), &status(2)).iter().map(said).collect();
        let expected =
            if may { "End".to_owned() } else { format!("refused {}", Refusal::NotPermitted.name()) };
        assert_eq!(answers, [(RequestId([2; 16]), expected)], "{role}");
    }
    let gateway = engine.data_dir.join("dev/gateway").display().to_string();
    let raised = engine.sparr(&[
        "flag",
        "raise",
        "--subject",
        TOLVAN,
        "--wish",
        "deny",
        "--until",
        "2030-12-31",
        "--reason",
        "scam",
        "--identity",
        &gateway,
        "--json",
    ]);
    assert_eq!(raised.status.code(), Some(1));
    assert!(text(&raised.stdout).contains("\"refused\":\"not_permitted\""), "{}", text(&raised.stdout));
    assert_eq!(engine.metric("sparr_flags{state=\"known\"}"), 0.0);
}

#[test]
fn a_stranger_is_not_let_in_and_is_told_why() {
    let engine = EngineProcess::start();
    let request = serde_json::json!({ "request_id": id(1), "kind": "invoice" }).to_string();
    let screen = |identity: &str| {
        let connect = engine.listen.to_string();
        let output = crate::support::sparr()
            .args(["screen", "--json", &request, "--identity", identity, "--connect", &connect])
            .output()
            .expect("it runs");
        (output.status.code(), text(&output.stderr))
    };
    let before = engine.metric("sparr_connections_rejected_total{why=\"handshake\"}");

    // Another authority: the client does not even trust the engine.
    let other = EngineProcess::start();
    let (code, said) = screen(&other.data_dir.join("dev").display().to_string());
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot prove who it is"), "{said}");

    // A client that trusts the engine, but whose own certificate is another authority's.
    let mixed = tempfile::tempdir().expect("folder");
    let from = |engine: &EngineProcess, file: &str| engine.data_dir.join("dev/gateway").join(file);
    for (source, file) in [(&other, "cert.pem"), (&other, "key.pem"), (&engine, "ca.pem")] {
        std::fs::copy(from(source, file), mixed.path().join(file)).expect("copied");
    }
    let (code, said) = screen(&mixed.path().display().to_string());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("refused") || said.contains("lost") || said.contains("certificate"), "{said}");

    // The engine's own certificate is good for serving, and names no caller.
    let server = tempfile::tempdir().expect("folder");
    for file in ["cert.pem", "key.pem", "ca.pem"] {
        std::fs::copy(engine.data_dir.join("dev/engine").join(file), server.path().join(file))
            .expect("copied");
    }
    let (code, said) = screen(&server.path().display().to_string());
    assert_eq!(code, Some(2), "{said}");

    assert!(engine.metric("sparr_connections_rejected_total{why=\"handshake\"}") >= before + 2.0);
    let one = serde_json::json!({ "request_id": id(2), "kind": "invoice" });
    assert!(engine.screen(&one)["outcome"].is_string(), "everybody else is served");
}
