//! Ways around the police, and around the registrar: each is refused with its reason, and nobody sees anything for it.

use crate::exchange::{Gateway, done, refused};
use crate::support::{EngineProcess, shipped_rules};
use serde_json::json;
use sparr_engine::server::clock;
use sparr_engine::server::keys::SigningKey;
use sparr_engine::server::verify::verify;
use sparr_protocol::client::Client;
use sparr_protocol::exchange::{ExchangeRequest, IndicatorOperation, Operation, Refusal, Said};
use sparr_protocol::ids::RequestId;
use sparr_protocol::indicator::{ContentDigest, IndicatorId, receipt_signed_bytes};
use sparr_protocol::time::Timestamp;

fn draft(engine: &EngineProcess, value: &str, grade: &str) -> (String, ContentDigest) {
    let draft =
        ["indicator", "draft", "--kind", "email", "--value", value, "--class", "phishing", "--grade", grade];
    let drafted = done(engine, "analyst", &draft);
    let digits = drafted["digest"].as_str().expect("a digest");
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hexadecimal");
    (drafted["id"].as_str().expect("an id").to_owned(), ContentDigest(std::array::from_fn(byte)))
}

/// A receipt as somebody sends it: what was answered.
fn receipt(
    engine: &EngineProcess,
    who: &str,
    (id, reference, received_at): (&str, &str, Timestamp),
    signature: Option<[u8; 64]>,
) -> Said {
    let operation = Operation::Indicator(IndicatorOperation::Receipt {
        id: IndicatorId::parse(id).expect("an id"),
        reference: reference.to_owned(),
        received_at,
        signature: signature.map(Box::new),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let client = Client::connect(engine.client(who)).await.expect("connected");
        let id = RequestId(sparr_engine::server::keys::random_id());
        let answers = client.exchange(&ExchangeRequest { id, operation }).await.expect("answered");
        client.close().await;
        answers[0].said.clone()
    })
}

#[test]
fn every_way_around_the_police_is_refused() {
    let engine = EngineProcess::start();
    let police =
        SigningKey::from_file(&engine.data_dir.join("dev/police/signing-1.key")).expect("the police's key");
    let elsewhere = tempfile::tempdir().expect("folder");
    let forger = SigningKey::load(elsewhere.path()).expect("a key of somebody's own");
    let (id, digest) = draft(&engine, "mule@shop.example", "observed");
    let (_, another) = draft(&engine, "other@shop.example", "observed");
    let now = clock::now();
    let minutes = |minutes: i64| now.saturating_add_ms(minutes * 60_000);
    let signed = |key: &SigningKey, digest: &ContentDigest, reference: &str, at: Timestamp| {
        Some(key.sign(&receipt_signed_bytes(digest, reference, at)))
    };
    let (wrong, skew) = (Refusal::SignatureWrong, Refusal::TimeSkew);
    for (what, who, reference, at, signature, why) in [
        ("forged", "police", "K1", now, signed(&forger, &digest, "K1", now), wrong),
        ("of another indicator", "police", "K1", now, signed(&police, &another, "K1", now), wrong),
        ("of another reference", "police", "K2", now, signed(&police, &digest, "K1", now), wrong),
        (
            "of another time",
            "police",
            "K1",
            now.saturating_add_ms(-500),
            signed(&police, &digest, "K1", now),
            wrong,
        ),
        ("unsigned", "police", "K1", now, None, wrong),
        ("of zeros", "police", "K1", now, Some([0; 64]), wrong),
        (
            "from before the draft",
            "police",
            "K1",
            minutes(-60),
            signed(&police, &digest, "K1", minutes(-60)),
            skew,
        ),
        ("from the future", "police", "K1", minutes(60), signed(&police, &digest, "K1", minutes(60)), skew),
        ("from the end of time", "police", "K1", Timestamp::from_ms(i64::MAX), Some([1; 64]), skew),
        ("from its beginning", "police", "K1", Timestamp::from_ms(i64::MIN + 1), Some([1; 64]), skew),
        ("stolen by the registrar", "analyst", "K1", now, signed(&police, &digest, "K1", now), wrong),
        ("by another member's word", "analyst-b", "K1", now, None, Refusal::NotRegistrar),
    ] {
        assert_eq!(
            receipt(&engine, who, (&id, reference, at), signature),
            Said::Refused(why),
            "a receipt {what}"
        );
        assert_eq!(refused(&engine, "analyst", &["indicator", "share", &id]), "receipt_missing", "{what}");
    }
    let seen =
        || done(&engine, "analyst-b", &["indicator", "list"])["indicators"].as_array().expect("a list").len();
    assert_eq!(seen(), 0);
    let honest = receipt(&engine, "police", (&id, "K1", now), signed(&police, &digest, "K1", now));
    assert!(matches!(honest, Said::Durable { .. }), "the control: {honest:?}");

    // Edited after the receipt: it is another indicator, and the police have not got it.
    let (edited, _) = draft(&engine, "mule@shop.example", "confirmed");
    assert_ne!(edited, id);
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &edited]), "receipt_missing");
    assert_eq!(seen(), 0);
    done(&engine, "analyst", &["indicator", "share", &id]);
    assert_eq!(seen(), 1);
}

#[test]
fn two_persons_of_the_centre_withdraw_what_its_registrar_does_not() {
    let folder = tempfile::tempdir().expect("folder");
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &shipped_rules().display().to_string()]);
    let mut gateway = Gateway { engine: &engine, number: 0 };
    let (id, _) = draft(&engine, "shop@shop.example", "observed");
    let overriding = ["indicator", "override", &id, "--why", "the wrong shop"];
    assert_eq!(refused(&engine, "centre", &overriding), "no_such_indicator", "a draft is its member's own");
    done(&engine, "police", &["receipt", "add", "--indicator", &id, "--reference", "K1"]);
    done(&engine, "analyst", &["indicator", "share", &id]);
    for (who, why) in [("analyst-b", "not_permitted"), ("police", "not_permitted"), ("desk", "not_permitted")]
    {
        assert_eq!(refused(&engine, who, &overriding), why, "{who}");
    }
    let named = ["indicator", "override", &id, "--why", "it is 19121212-1212"];
    assert_eq!(refused(&engine, "centre", &named), "personal_in_text");
    assert_eq!(done(&engine, "centre", &overriding)["second_person_needed"], true);
    let asked = json!({ "email": "shop@shop.example" });
    assert_eq!(gateway.outcome(&asked), "challenge", "one person withdraws nothing");
    assert_eq!(refused(&engine, "centre", &overriding), "same_person");
    assert_eq!(done(&engine, "centre-2", &overriding)["second_person_needed"], false);
    assert_eq!(gateway.outcome(&asked), "approve");
    assert_eq!(refused(&engine, "analyst", &["indicator", "share", &id]), "withdrawn");
    assert_eq!(refused(&engine, "centre", &overriding), "withdrawn");
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    assert_eq!(verify(folder.path(), None).expect("it runs").findings, Vec::<String>::new());
}
