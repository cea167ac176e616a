//! What members may do to each other, and what engines of one member see of each other.

use crate::broker::Node;
use crate::engines::{Exchange, connect, declined, is_durable, payment, raise, raise_all, status, until};
use crate::probe::run;
use crate::support::EngineProcess;
use sparr_protocol::client::Client;
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::response::AuthorisationResponse;
use std::fs;
use std::path::Path;

/// Rewrites the configuration of every engine of an exchange that was prepared.
fn rewrite(exchange: &Exchange, engines: usize, change: impl Fn(usize, String) -> String) {
    for at in 0..engines {
        let file = exchange.dir(at).join("engine.toml");
        let text = change(at, fs::read_to_string(&file).expect("readable"));
        fs::write(&file, text).expect("written");
    }
}

fn copy_key(from: &Path, to: &Path) {
    let key = Path::new("keys").join("signing-1.key");
    fs::remove_file(to.join(&key)).expect("there");
    fs::copy(from.join(&key), to.join(&key)).expect("copied");
}

/// A card is tested by turns at two engines of one member. `together` are engines that know of each other.
fn tested_by_turns(together: bool) -> Vec<AuthorisationResponse> {
    let Some(node) = Node::start() else { return Vec::new() };
    let mut exchange = Exchange::prepare(&[node.url(), node.url()], "");
    if together {
        copy_key(&exchange.dir(0), &exchange.dir(1));
    }
    rewrite(&exchange, 2, |at, text| match (at, together) {
        (1, true) => text.replacen("member = \"bank-two\"", "member = \"bank-one\"\nengine = 2", 1),
        _ => text,
    });
    exchange.start_engine(0);
    exchange.start_engine(1);
    until("both are live", || exchange.running().all(|engine| engine.get("/readyz").0 == 200));
    until("both hear each other", || {
        exchange.running().all(|engine| {
            let status = status(engine);
            status["engines"]
                .as_array()
                .is_some_and(|all| all.iter().filter(|one| one["live"] == true).count() == 2)
        })
    });
    run(async {
        let gateways =
            [connect(exchange.engine(0), "gateway").await, connect(exchange.engine(1), "gateway").await];
        let mut answers = Vec::new();
        for number in 0..8u64 {
            let mut request = payment("card_payment", 0);
            request.subject = None;
            request.card_token = Some("tok_tested".into());
            request.amount_minor = Some(100);
            let answer = gateways[number as usize % 2].screen(&request).await.expect("answered");
            answers.push(answer);
            // Engines of one member tell each other in their own time: the next payment comes when they have.
            let others = number / 2 + 1;
            if together {
                until("the other engine was told", || {
                    told(exchange.engine(1 - number as usize % 2)) >= others
                });
            }
        }
        if together {
            print_delay(&exchange, &gateways[0]).await;
        }
        answers
    })
}

/// How long after its answer a payment is in the windows of the member's other engine. Printed, not judged: it ends with the
/// scrape that shows it.
async fn print_delay(exchange: &Exchange, gateway: &Client) {
    let mut took = Vec::new();
    for number in 0..200u64 {
        let mut request = payment("card_payment", 0);
        request.subject = None;
        request.card_token = Some(format!("tok_{number}").into());
        let before = told(exchange.engine(1));
        gateway.screen(&request).await.expect("answered");
        let answered = sparr_engine::server::clock::instant();
        while told(exchange.engine(1)) == before {}
        took.push(sparr_engine::server::clock::instant().duration_since(answered));
    }
    took.sort();
    println!(
        "another engine of the member knows of a payment: p50 {:?}, p99 {:?}, max {:?}",
        took[100], took[198], took[199]
    );
}

/// Payments that an engine was told of by others of its member.
fn told(engine: &EngineProcess) -> u64 {
    let (_, metrics) = engine.get("/metrics");
    let told = metrics.lines().find_map(|line| {
        line.strip_prefix("sparr_exchange_payments_total{what=\"told\"} ").map(str::to_owned)
    });
    told.and_then(|told| told.parse().ok()).expect("it is counted")
}

fn objections(answers: &[AuthorisationResponse]) -> usize {
    use sparr_protocol::codes::Outcome;
    let objects = |answer: &&AuthorisationResponse| {
        answer.answer.is_ok_and(|decided| decided.outcome != Outcome::Approve)
    };
    answers.iter().filter(objects).count()
}

#[test]
fn a_card_that_is_tested_against_two_engines_of_a_member_is_seen_by_both() {
    let together = tested_by_turns(true);
    if together.is_empty() {
        return;
    }
    // Six small payments in ten minutes are card testing: four at each engine are eight together.
    assert!(objections(&together) >= 2, "{together:?}");
    // The control: engines of two members do not tell each other what their customers do.
    assert_eq!(objections(&tested_by_turns(false)), 0);
}

#[test]
fn who_is_suspended_is_suspended_everywhere_and_only_the_centre_can() {
    let Some(node) = Node::start() else { return };
    let mut exchange = Exchange::prepare(&[node.url(), node.url(), node.url()], "");
    // The third one is the central organisation's.
    rewrite(&exchange, 3, |at, text| {
        let text =
            text.replace("bank-three = { kind = \"bank\"", "centre = { kind = \"central_organisation\"");
        if at < 2 {
            return text;
        }
        let text = text.replacen("member = \"bank-three\"", "member = \"centre\"", 1);
        text.replacen("kind = \"bank\"", "kind = \"central_organisation\"", 1)
    });
    for at in 0..3 {
        exchange.start_engine(at);
    }
    exchange.until_equal(0);
    run(async {
        let (one, two) =
            (connect(exchange.engine(0), "desk").await, connect(exchange.engine(1), "desk").await);
        assert!(is_durable(&two, &raise(1)).await && is_durable(&one, &raise(2)).await);
    });
    exchange.until_equal(1);

    // At a bank's engine the centre's certificate opens nothing: others would have to believe the bank.
    let suspend = ["member", "suspend", "bank-two", "--why", "does not answer"];
    let refused = exchange.engine(0).sparr(&[&suspend[..], &["--json"]].concat());
    let said: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("JSON");
    assert_eq!(said["refused"], "not_permitted", "{said}");

    let done = exchange.engine(2).sparr(&suspend);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let stands = |at: usize| {
        let listed = exchange.engine(at).json(&["member", "list", "--json"]);
        listed.to_string().contains("suspended")
    };
    until("all know", || (0..3).all(stands));
    run(async {
        let desk = connect(exchange.engine(1), "desk").await;
        let answers = desk.exchange(&raise(3)).await.expect("answered");
        assert!(matches!(answers[0].said, Said::Refused(Refusal::MemberSuspended)), "{answers:?}");
        // What it entered before stays in force: its people are protected.
        assert_eq!(declined(exchange.engine(0), 1..4).await, [1, 2]);
    });
    let done = exchange.engine(2).sparr(&["member", "admit", "bank-two", "--kind", "bank"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    until("all know", || !(0..3).any(stands));
    run(async {
        let desk = connect(exchange.engine(1), "desk").await;
        assert!(is_durable(&desk, &raise(3)).await);
        for step in 0.. {
            if declined(exchange.engine(0), 1..4).await == [1, 2, 3] {
                break;
            }
            assert!(step < 400, "what was raised after the re-admission does not arrive");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    });
}

#[test]
fn nobody_is_believed_without_the_members_signature_or_the_network_key() {
    let Some(node) = Node::start() else { return };
    let mut exchange = Exchange::prepare(&[node.url(), node.url(), node.url()], "");
    // The second one is known to the others under another key; the third one has another network key.
    rewrite(&exchange, 3, |at, text| {
        let lines = text.lines().map(|line| match line.strip_prefix("bank-two = ") {
            Some(_) if at != 1 => format!("bank-two = {{ kind = \"bank\", key = \"{}\" }}", "ab".repeat(32)),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    let network = exchange.dir(2).join("keys").join("network-1.key");
    fs::remove_file(&network).expect("there");
    sparr_engine::server::keys::network_keys(&exchange.dir(2).join("keys"), true).expect("made");
    // The first one begins alone: whoever speaks and proves nothing is waited for by who comes.
    for at in 0..2 {
        exchange.start_engine(at);
        until("it is live", || exchange.engine(at).get("/readyz").0 == 200);
    }
    exchange.start_engine(2);
    run(async {
        let desk = connect(exchange.engine(1), "desk").await;
        assert!(is_durable(&desk, &raise(1)).await);
    });
    let mut seen = serde_json::Value::Null;
    until("the first one holds the second one back", || {
        seen = status(exchange.engine(0));
        seen["engines"].as_array().is_some_and(|all| {
            all.iter().any(|one| one["member"] == "bank-two" && one["held_back"] == "signature_wrong")
        })
    });
    assert!(seen["exchange"]["refused"].as_u64() > Some(0), "{seen}");
    assert!(!seen.to_string().contains("bank-three\",\"engine"), "a stranger under another key: {seen}");
    run(async { assert!(declined(exchange.engine(0), 0..3).await.is_empty()) });
}

/// Every byte below a folder.
fn bytes_below(folder: &Path, found: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            bytes_below(&path, found)
        } else {
            found.extend(fs::read(&path).expect("readable"))
        }
    }
}

#[test]
fn the_broker_holds_no_personal_number() {
    let Some(mut node) = Node::start() else { return };
    let exchange = Exchange::start(&[node.url(), node.url()], "");
    run(raise_all(exchange.engine(0), 0..200));
    exchange.until_equal(200);
    // What it has not written yet it writes when it stops.
    node.signal("TERM");
    node.kill();
    let mut stored = Vec::new();
    bytes_below(&node.store(), &mut stored);
    let holds = |text: &str| memchr::memmem::find(&stored, text.as_bytes()).is_some();
    assert!(holds("bank-one"), "the control: {} bytes were looked through", stored.len());
    for number in 0..200 {
        let digits = sparr_loadgen::people::personal_number(number);
        assert!(!holds(&digits) && !holds(&digits[2..]), "{number}");
    }
}
