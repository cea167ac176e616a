//! `WIRE.md` and the golden files against the code: every offset, number and byte that they state.
//!
//! `SPARR_BLESS=1 cargo test -p sparr-protocol` writes them anew; a golden file that changes is a new wire version.

use crate::aftermath::{self, Final, LabelClass};
use crate::codes::*;
use crate::exchange::{
    self, ExchangeAnswer, ExchangeRequest, LookedBy, Operation, OperationKind, PlannedChange, Refusal, Said,
    StandingCode, SubjectText, WindowState,
};
use crate::exemption::{ExemptionKey, ExemptionStanding};
use crate::field::Field;
use crate::flag::{Methods, Scope, Terms};
use crate::frame::{CloseCode, MessageKind, Next};
use crate::ids::Actor;
use crate::ids::{RequestId, RuleSetDigest};
use crate::indicator::{Attestation, Grade, IndicatorKind, IndicatorRole, IndicatorStanding};
use crate::limits::*;
use crate::member::{MemberKind, MemberStanding};
use crate::money::Currency;
use crate::place::{Country, Mcc};
use crate::record::{Commit, Origin, Payload, Record, RecordKind};
use crate::request::{AuthorisationRequest, PanDigest};
use crate::response::*;
use crate::time::Timestamp;
use crate::view::RequestView;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn blessing() -> bool {
    std::env::var_os("SPARR_BLESS").is_some()
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

type Layout = &'static [(&'static str, usize, usize)];

fn layout(layout: Layout) -> String {
    let mut out = String::from("| offset | bytes | field |\n|---|---|---|\n");
    let mut next = 0;
    for (name, offset, bytes) in layout {
        assert_eq!(*offset, next, "{name} does not follow the field before it");
        next += bytes;
        let _ = writeln!(out, "| {offset} | {bytes} | `{name}` |");
    }
    out
}

fn codes<T: Copy>(
    out: &mut String,
    title: &str,
    all: &[T],
    number: fn(T) -> u8,
    name: fn(T) -> &'static str,
) {
    let values: Vec<String> = all.iter().map(|one| format!("{} `{}`", number(*one), name(*one))).collect();
    let _ = writeln!(out, "| {title} | {} |", values.join(" · "));
}

macro_rules! code_rows {
    ($out:ident: $($title:literal $ty:ident),+ $(,)?) => {$(
        codes(&mut $out, $title, $ty::ALL, $ty::wire, $ty::name);
    )+};
}

/// The generated sections of `WIRE.md`, by name.
fn sections() -> Vec<(&'static str, String)> {
    let mut fields = String::from("| bit | field | on the wire |\n|---|---|---|\n");
    let mut optional = Field::OPTIONAL.to_vec();
    optional.sort();
    for field in optional {
        let how = if Field::TEXTS.contains(&field) { "text" } else { "in the head" };
        let _ = writeln!(fields, "| {} | `{}` | {how} |", field.wire(), field.name());
    }
    for field in Field::ALWAYS {
        let _ = writeln!(
            fields,
            "| {} | `{}` | in the head, always present: no bit |",
            field.wire(),
            field.name()
        );
    }
    let texts: Vec<String> = Field::TEXTS.iter().map(|field| format!("`{}`", field.name())).collect();

    let mut values = String::from("| field | values |\n|---|---|\n");
    code_rows!(values:
        "`kind`" Kind, "`stage`" Stage, "`channel`" Channel, "`entry_mode`" EntryMode, "`initiation`" Initiation,
        "`subject_kind`" SubjectKind, "`payee_name_match`" NameMatch, "`card_token_kind`" CardTokenKind,
        "`funding`" Funding, "`wallet`" Wallet, "`avs`" Avs, "`cvv`" Cvv, "`auth_method`" AuthMethod,
        "`auth_result`" AuthResult, "`auth_trans_status`" TransStatus, "`auth_sca_exemption`" ScaExemption,
        "`remote_access`" RemoteAccess, "`delivery_type`" DeliveryType, "`outcome`" Outcome, "`review`" Review,
    );
    let mut exchange_values = String::from("| field | values |\n|---|---|\n");
    code_rows!(exchange_values:
        "operation" OperationKind, "`wish`" Wish, "`scope`" ScopeKind, "`reason`" FlagReason,
        "`requested_by`" RequestedBy, "`standing`" StandingCode, "refusal" Refusal, "role" Role,
        "record kind" RecordKind, "kind of indicator" IndicatorKind, "`role` of an indicator" IndicatorRole,
        "`grade`" Grade, "`attested`" Attestation, "`standing` of an indicator" IndicatorStanding,
        "kind of member" MemberKind, "`standing` of a member" MemberStanding, "plan" PlannedChange,
        "`by` of a look" LookedBy, "key of an exemption" ExemptionKey,
        "`standing` of an exemption" ExemptionStanding, "`result` of a final result" Final,
        "`class` of a label" LabelClass, "`state` of a window" WindowState,
    );
    let mut kinds = String::from("| number | message |\n|---|---|\n");
    for kind in MessageKind::ALL {
        let _ = writeln!(kinds, "| {} | `{}` |", kind.wire(), kind.name());
    }
    let mut why =
        String::from("| number | why | a retry with the same id may be screened |\n|---|---|---|\n");
    for one in Why::ALL {
        let _ = writeln!(
            why,
            "| {} | `{}` | {} |",
            one.wire(),
            one.name(),
            if one.retryable() { "yes" } else { "no" }
        );
    }
    let degraded: Vec<String> =
        Degraded::ALL.iter().enumerate().map(|(bit, (_, name))| format!("{bit} `{name}`")).collect();
    let checked: Vec<String> =
        CheckedKey::ALL.iter().map(|key| format!("{} `{}`", *key as u8 * 2, key.name())).collect();
    let mut close = String::from("| code | meaning |\n|---|---|\n");
    for code in CloseCode::ALL {
        let _ = writeln!(close, "| {} | {} |", code.wire(), String::from_utf8_lossy(code.words()));
    }
    let mut limits = String::from("| limit | bytes |\n|---|---|\n");
    for (name, value) in [
        ("a question's frame, header included", REQUEST_FRAME_BYTES_MAX),
        ("an answer's frame, header included", ANSWER_FRAME_BYTES_MAX),
        ("an answer's frame of the exchange, header included", EXCHANGE_ANSWER_FRAME_BYTES_MAX),
        ("a text", TEXT_BYTES_MAX),
        ("`payment_id` and `original_payment_id`", PAYMENT_ID_BYTES_MAX),
        ("a member's name", MEMBER_BYTES_MAX),
        ("the id of who acts", ACTOR_BYTES_MAX),
        ("an indicator's class", CLASS_BYTES_MAX),
        ("a police reference, and a reason that somebody writes", REFERENCE_BYTES_MAX),
        ("a journal record", RECORD_BYTES_MAX),
    ] {
        let _ = writeln!(limits, "| {name} | {value} |");
    }
    vec![
        ("limits", limits),
        ("message-kinds", kinds),
        ("request-head", layout(crate::request::RequestHead::LAYOUT)),
        ("request-fields", fields),
        ("request-texts", format!("{}\n", texts.join(", "))),
        ("values", values),
        ("answer-head", layout(AnswerHead::LAYOUT)),
        ("why", why),
        ("degraded", format!("{}\n", degraded.join(" · "))),
        ("checked", format!("{}\n", checked.join(" · "))),
        ("exchange-request-head", layout(exchange::request_layouts::HEAD)),
        ("exchange-terms", layout(exchange::request_layouts::TERMS)),
        ("final-result", layout(aftermath::layouts::FINAL)),
        ("label", layout(aftermath::layouts::LABEL)),
        ("exchange-subject", layout(exchange::request_layouts::SUBJECT)),
        ("exchange-lift", layout(exchange::request_layouts::LIFT)),
        ("exchange-flag-change", layout(exchange::flag_layouts::CHANGE)),
        ("exchange-draft", layout(exchange::indicator_layouts::DRAFT)),
        ("exchange-about-indicator", layout(exchange::indicator_layouts::ABOUT)),
        ("exchange-member-change", layout(exchange::member_layouts::CHANGE)),
        ("exchange-exempt-add", layout(exchange::exemption_layouts::ADD)),
        ("exchange-exemption", layout(exchange::exemption_layouts::ENTRY)),
        ("exchange-recall", layout(exchange::RECALL_LAYOUT)),
        ("exchange-decisions", layout(exchange::DECISIONS_LAYOUT)),
        ("exchange-blast", layout(exchange::BLAST_LAYOUT)),
        ("exchange-velocity", layout(exchange::velocity_layouts::KEY)),
        ("exchange-window", layout(exchange::velocity_layouts::WINDOW)),
        ("exchange-answer-head", layout(exchange::answer_layouts::HEAD)),
        ("exchange-durable", layout(exchange::answer_layouts::DURABLE)),
        ("exchange-flag", layout(exchange::entry_layouts::FLAG)),
        ("exchange-indicator", layout(exchange::entry_layouts::INDICATOR)),
        ("content", layout(crate::indicator::CONTENT_LAYOUT)),
        ("exchange-member", layout(exchange::entry_layouts::MEMBER)),
        ("exchange-look", layout(exchange::entry_layouts::LOOK)),
        ("exchange-enforcement", layout(exchange::status_layouts::ENFORCEMENT)),
        ("exchange-standing", layout(exchange::status_layouts::EXCHANGE)),
        ("exchange-engine", layout(exchange::status_layouts::ENGINE)),
        ("exchange-values", exchange_values),
        ("record-head", layout(crate::record::layouts::HEAD)),
        ("record-flag-raised", layout(crate::record::layouts::RAISED)),
        ("record-flag-lifted", layout(crate::record::layouts::LIFTED)),
        ("record-pass", layout(crate::record::layouts::PASS)),
        ("record-linked", layout(crate::record::layouts::LINKED)),
        ("record-about-flag", layout(crate::record::layouts::ABOUT_FLAG)),
        ("record-about-indicator", layout(crate::record::layouts::ABOUT_INDICATOR)),
        ("record-indicator-overridden", layout(crate::record::layouts::OVERRIDDEN)),
        ("record-member", layout(crate::record::layouts::MEMBER)),
        ("record-exemption", layout(crate::record::layouts::EXEMPTION)),
        ("record-commit", layout(crate::record::layouts::COMMIT)),
        ("close-codes", close),
        ("example-request", hexdump(&golden()[0].1)),
        ("example-answer", hexdump(&golden()[2].1)),
    ]
}

fn hexdump(bytes: &[u8]) -> String {
    let mut out = String::from("```text\n");
    for (line, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = chunk
            .iter()
            .map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' })
            .collect();
        let _ = writeln!(out, "{:04x}  {:<47}  {text}", line * 16, hex.join(" "));
    }
    out.push_str("```\n");
    out
}

#[test]
fn wire_md_says_what_the_code_does() {
    let file = here("WIRE.md");
    let mut text = fs::read_to_string(&file).expect("readable");
    for (name, generated) in sections() {
        let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
        let from = text.find(&start).unwrap_or_else(|| panic!("WIRE.md has no section {name}")) + start.len();
        let to = text[from..].find(&end).unwrap_or_else(|| panic!("section {name} has no end")) + from;
        if blessing() {
            text.replace_range(from..to, &generated);
        } else {
            assert_eq!(text[from..to], generated, "section {name} of WIRE.md");
        }
    }
    if blessing() {
        fs::write(file, text).expect("written");
    }
}

fn id(first: u8) -> RequestId {
    RequestId(std::array::from_fn(|at| first + at as u8))
}

/// An invoice with few fields, as `WIRE.md` shows it.
fn invoice() -> AuthorisationRequest {
    let mut request =
        AuthorisationRequest::new(id(0x10), Kind::Invoice, Timestamp::from_ms(1_522_540_831_000));
    request.deadline_us = 50_000;
    request.amount_minor = Some(5_716);
    request.currency = Some(Currency::SEK);
    request.merchant_id = Some("m1".to_owned());
    request.subject = Some("19121212-1212".into());
    request
}

/// A request in which every field is present.
pub(crate) fn everything() -> AuthorisationRequest {
    let mut request =
        AuthorisationRequest::new(id(0x20), Kind::CardPayment, Timestamp::from_ms(1_522_540_831_000));
    request.max_staleness_ms = 500;
    for (name, text) in [
        ("channel", "web"),
        ("entry_mode", "ecommerce"),
        ("initiation", "customer"),
        ("amount_minor", "129900"),
        ("currency", "EUR"),
        ("mcc", "5732"),
        ("merchant_country", "SE"),
        ("subject_kind", "foreign"),
        ("subject_country", "FI"),
        ("customer_since_days", "400"),
        ("credential_age_days", "30"),
        ("device_age_days", "3"),
        ("payee_name_match", "close"),
        ("payee_first_used_days", "0"),
        ("card_token_kind", "network"),
        ("pan_digest", "000102030405060708090a0b0c0d0e0f"),
        ("card_bin", "012345"),
        ("issuer_country", "NO"),
        ("funding", "credit"),
        ("wallet", "apple_pay"),
        ("avs", "partial"),
        ("cvv", "match"),
        ("challenge_possible", "true"),
        ("auth.method", "bankid"),
        ("auth.result", "passed"),
        ("auth.time", "1522540800000"),
        ("auth.of_request_id", "101112131415161718191a1b1c1d1e1f"),
        ("auth.trans_status", "Y"),
        ("auth.eci", "5"),
        ("auth.sca_exemption", "none"),
        ("ip", "2001:db8::1"),
        ("remote_access", "no"),
        ("delivery_type", "home"),
        ("billing_country", "SE"),
        ("shipping_country", "DE"),
        ("payment_id", "P-2018-1"),
        ("original_payment_id", "P-2018-0"),
        ("merchant_id", "m1"),
        ("merchant_org", "556016-0680"),
        ("terminal_id", "T1"),
        ("domain", "shop.example"),
        ("subject", "131052-308T"),
        ("payer_account", "iban:SE4550000000058398257466"),
        ("payee_account", "bg:9912346"),
        ("payee_subject", "5560160680"),
        ("card_token", "4111111111111111"),
        ("par", "V0010013021345678901234567890"),
        ("device_id", "dev-1"),
        ("email", "anna@example.se"),
        ("phone", "+46701234567"),
        ("delivery_key", "addr-1"),
    ] {
        request.set(name, text).expect(name);
    }
    request
}

fn decided() -> AuthorisationResponse {
    let mut reasons = Reasons::default();
    reasons.push(ReasonCode(2));
    reasons.push(ReasonCode(100));
    let mut checked = Checked::default();
    checked.set(CheckedKey::Subject, Looked::Checked);
    checked.set(CheckedKey::Card, Looked::Warming);
    let mut degraded = Degraded::default();
    degraded.insert(Degraded::WINDOW_WARMING);
    degraded.insert(Degraded::UNLOGGED);
    AuthorisationResponse {
        request_id: id(0x10),
        answer: Ok(Decided {
            outcome: Outcome::Challenge,
            review: Review::After,
            hold_until: Some(Timestamp::from_ms(1_522_627_200_000)),
            score: 55,
            reasons,
        }),
        rule_set_digest: RuleSetDigest([0xAB; 16]),
        position: Position { engine: 1, epoch: 77, index: 42 },
        staleness_ms: 12,
        degraded,
        natural: None,
        checked,
        engine_us: 9,
    }
}

fn not_screened() -> AuthorisationResponse {
    let why = NotScreened { why: Why::IdentityMalformed, field: Some(Field::Subject), retry_after_ms: 0 };
    AuthorisationResponse { answer: Err(why), ..decided() }
}

fn raise() -> ExchangeRequest {
    let terms = Terms {
        wish: Wish::Verify,
        scope: Scope::Above { amount_minor: 3_000_000, currency: Currency::SEK },
        reason: FlagReason::SuspectedFraud,
        requested_by: RequestedBy::Person,
        authenticated_by: AuthMethod::BankId,
        compromised: Methods::default().with(AuthMethod::OtpSms),
        valid_until: Timestamp::from_ms(1_830_297_600_000),
    };
    let subject = SubjectText { text: "19121212-1212".into(), kind: SubjectKind::SePerson, country: None };
    ExchangeRequest { id: id(0x30), operation: Operation::FlagRaise { subject, terms } }
}

/// The frozen bytes of wire version 1, by file name.
fn golden() -> Vec<(&'static str, Vec<u8>)> {
    let framed = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes
    };
    let durable = ExchangeAnswer {
        id: id(0x30),
        position: Position { engine: 1, epoch: 77, index: 43 },
        said: Said::Durable {
            peers: 0,
            effective_from: Timestamp::from_ms(1_522_540_831_000),
            second_person: false,
        },
    };
    vec![
        ("request-invoice.bin", framed(&|out| invoice().encode(out).expect("fits"))),
        ("request-everything.bin", framed(&|out| everything().encode(out).expect("fits"))),
        ("answer-decided.bin", framed(&|out| decided().encode(out))),
        ("answer-not-screened.bin", framed(&|out| not_screened().encode(out))),
        ("exchange-raise.bin", framed(&|out| raise().encode(out).expect("fits"))),
        ("exchange-durable.bin", framed(&|out| durable.encode(out))),
        (
            "record-flag-raised.bin",
            framed(&|out| {
                record().encode(out);
            }),
        ),
        ("commit.bin", commit().encode()),
    ]
}

fn record() -> Record {
    let Operation::FlagRaise { terms, .. } = raise().operation else { unreachable!("a raise") };
    let member = crate::ids::MemberName::parse("bank-1").expect("legal");
    Record {
        origin: Origin { member, engine: 1, epoch: 77 },
        sequence: 1,
        stamp: 1_522_540_831_000,
        previous: [0; 32],
        operation: id(0x30),
        actor: Actor::new(member, Role::Desk, "anna").expect("legal"),
        legal_basis: String::new(),
        payload: Payload::FlagRaised { subject: crate::ids::Pseudonym([7; 16]), key_id: 1, terms },
    }
}

fn commit() -> Commit {
    let (origin, signing_key) = (record().origin, 1);
    Commit { origin, first_sequence: 1, last_sequence: 1, head: [9; 32], signing_key, signature: [5; 64] }
}

#[test]
fn golden_files_are_what_this_version_writes() {
    for (name, bytes) in golden() {
        let file = here("tests/golden/v1").join(name);
        if blessing() {
            fs::write(&file, &bytes).expect("written");
        }
        assert_eq!(fs::read(&file).expect("readable"), bytes, "{name}: these bytes are forever");
    }
}

fn message(bytes: &[u8], max: usize) -> &[u8] {
    let Next::Frame { frame, consumed } = Next::parse(bytes, max) else { panic!("one frame") };
    assert_eq!(consumed, bytes.len());
    frame.open().expect("sound").1
}

#[test]
fn golden_files_are_read_back_to_what_they_say() {
    let golden = golden();
    let request = message(&golden[1].1, REQUEST_FRAME_BYTES_MAX);
    let view = RequestView::parse(request).expect("legal");
    assert!(Field::OPTIONAL.iter().all(|field| view.has(*field)), "every field is present");
    let all = everything();
    assert_eq!((view.request_id(), view.kind(), view.stage()), (all.request_id, all.kind, all.stage));
    assert_eq!((view.event_time(), view.max_staleness_ms()), (all.event_time, all.max_staleness_ms));
    assert_eq!((view.mcc(), view.card_bin(), view.ip()), (Mcc::from_wire(5_732), all.card_bin, all.ip));
    assert_eq!((view.pan_digest(), view.auth_of_request_id()), (all.pan_digest, Some(id(0x10))));
    assert_eq!(view.pan_digest(), Some(PanDigest(std::array::from_fn(|at| at as u8))));
    assert_eq!((view.subject_country(), view.auth_time()), (Country::parse("FI"), all.auth_time));
    assert_eq!(view.subject(), Some("131052-308T"));
    assert_eq!(view.delivery_key(), Some("addr-1"));
    for (at, expected) in [(2, decided()), (3, not_screened())] {
        let answer = message(&golden[at].1, ANSWER_FRAME_BYTES_MAX);
        assert_eq!(AuthorisationResponse::decode(answer), Ok(expected));
    }
    let (body, _) = Record::body(&golden[6].1).expect("sound");
    assert_eq!(Record::decode(body), Ok(record()));
    assert_eq!(Commit::decode(&golden[7].1), Ok(commit()));
}

/// Whatever is changed in a request, it is read or refused with a named field; nothing panics, and a number that
/// this version does not know never reads as a value.
#[test]
fn every_changed_byte_of_a_request_is_read_or_refused_by_name() {
    let golden = golden();
    for (_, bytes) in &golden[..2] {
        let good = message(bytes, REQUEST_FRAME_BYTES_MAX);
        for at in 0..good.len() {
            for value in [0, 1, 0x7F, 0x80, 0xFE, 0xFF] {
                let mut bad = good.to_vec();
                bad[at] = value;
                // Reading or refusing are both right; what matters is that it ends.
                let _ = RequestView::parse(&bad).map(|view| (view.kind(), view.stage(), view.channel()));
            }
        }
        for end in 0..good.len() {
            assert!(RequestView::parse(&good[..end]).is_err(), "cut at {end}");
        }
        assert!(RequestView::parse(&[good, &[0]].concat()).is_err(), "one byte too many");
    }
}

#[test]
fn an_unknown_value_names_its_field_and_reserved_bytes_are_zero() {
    use crate::view::{FieldFault, RequestError};
    let golden = golden();
    let good = message(&golden[1].1, REQUEST_FRAME_BYTES_MAX);
    let refused = |at: usize, value: u8| {
        let mut bad = good.to_vec();
        bad[at] = value;
        match RequestView::parse(&bad).map(|_| ()) {
            Err(RequestError::Field { field, fault }) => (field, fault),
            other => panic!("offset {at}: {other:?}"),
        }
    };
    for (at, value, field) in [
        (138, 99, Field::Kind),
        (139, 9, Field::Stage),
        (140, 77, Field::Channel),
        (147, 99, Field::Wallet),
        (150, 3, Field::ChallengePossible),
        (125, 0xFF, Field::Currency),
        (129, 0xFF, Field::MerchantCountry),
        (127, 0xFF, Field::Mcc),
        (154, 100, Field::AuthEci),
        (123, 0xFF, Field::CardBin),
    ] {
        assert_eq!(refused(at, value), (field, FieldFault::UnknownValue), "offset {at}");
    }
    assert_eq!(refused(158, 1), (Field::Reserved, FieldFault::NotZero));
    assert_eq!(refused(16 + 7, 0xFF), (Field::Reserved, FieldFault::NotZero));
    let invoice = message(&golden[0].1, REQUEST_FRAME_BYTES_MAX);
    let mut bad = invoice.to_vec();
    bad[140] = 1;
    let expected = RequestError::Field { field: Field::Channel, fault: FieldFault::NotZero };
    assert_eq!(RequestView::parse(&bad).map(|_| ()), Err(expected), "a value in an absent field");
}

#[test]
fn card_numbers_are_refused_where_they_do_not_belong_and_ids_may_look_like_them() {
    use crate::view::{FieldFault, RequestError};
    let pan = "4111111111111111";
    let refused = |change: &dyn Fn(&mut AuthorisationRequest)| {
        let mut request = invoice();
        change(&mut request);
        let mut bytes = Vec::new();
        request.encode(&mut bytes).expect("fits");
        match RequestView::parse(message(&bytes, REQUEST_FRAME_BYTES_MAX)).map(|_| ()) {
            Ok(()) => None,
            Err(RequestError::Field { field, fault: FieldFault::CardNumber }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(refused(&|r| r.payment_id = Some(format!("p {pan}"))), Some(Field::PaymentId));
    assert_eq!(refused(&|r| r.email = Some(format!("{pan}@example.se").into())), Some(Field::Email));
    assert_eq!(refused(&|r| r.domain = Some(format!("{pan}.example"))), Some(Field::Domain));
    assert_eq!(refused(&|r| r.card_token = Some(pan.into())), Some(Field::CardToken));
    assert_eq!(
        refused(&|r| {
            r.card_token = Some(pan.into());
            r.card_token_kind = Some(CardTokenKind::Network);
        }),
        None,
        "a network token looks like a card number by design"
    );
    assert_eq!(refused(&|r| r.device_id = Some("490154203237518".into())), None, "an IMEI passes Luhn");
    let bin = |r: &mut AuthorisationRequest| r.set("card_bin", "411111").expect("legal");
    assert_eq!(
        refused(&|r| {
            bin(r);
            r.terminal_id = Some(pan.to_owned());
        }),
        Some(Field::TerminalId)
    );
    assert_eq!(
        refused(&|r| {
            bin(r);
            r.merchant_id = Some("5500005555555559".to_owned());
        }),
        None,
        "another number than this card's"
    );
}
