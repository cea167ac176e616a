//! One table of requests through every door: the same request has the same answer.

use crate::client::{Caller, document, engine, in_document};
use crate::support::{EngineProcess, TOLVAN, id, text};
use serde_json::{Value, json};
use sparr_loadgen::names::ReasonNames;
use sparr_protocol::client::Client;
use sparr_protocol::request::AuthorisationRequest;
use std::io::Write as _;
use std::process::Stdio;

const PATH: &str = "/v1/screen";

/// Another published test number.
const OTHER: &str = "198001092397";

/// What is asked, in this order: requests, and what is none.
fn table() -> Vec<Value> {
    let invoice = |number: u64, subject: &str| json!({ "request_id": id(number), "kind": "invoice", "amount_minor": 5_716, "currency": "SEK", "subject": subject });
    let mut all = vec![
        invoice(1, "19121212-1212"),
        // Again, and with another body under the same id.
        invoice(1, "19121212-1212"),
        invoice(1, OTHER),
        invoice(2, OTHER),
        invoice(3, "19121212-1213"),
        json!({ "request_id": id(4), "kind": "card_payment", "email": "5555555555554444@example.org", "card_token": "t" }),
        json!({ "request_id": id(5), "kind": "refund", "event_time": "2018-04-01T00:00:31Z" }),
        json!({ "request_id": id(6), "kind": "card_payment", "amount_minor": "90000", "currency": "SEK", "mcc": 5_732,
            "card_token": "tok-6", "merchant_id": "m1", "ip": "192.0.2.9", "challenge_possible": false, "subject": TOLVAN }),
        json!({ "request_id": id(7), "kind": "invoice", "subject": TOLVAN, "amount_minor": 100, "currency": "SEK",
            "auth": { "method": "bankid", "result": "passed" } }),
        json!({ "request_id": id(8), "kind": "cheque" }),
        json!({ "request_id": id(9), "kind": "invoice", TOLVAN: "subject" }),
        json!({ "request_id": id(10), "kind": "invoice", "subjet": TOLVAN }),
        json!({ "request_id": id(11), "kind": "invoice", "subject": [TOLVAN] }),
        json!({ "request_id": id(12), "kind": "invoice", "merchant_id": "m".repeat(300) }),
        json!({ "kind": "invoice", "subject": TOLVAN }),
        json!({ "request_id": "0", "kind": "invoice" }),
        json!(7),
    ];
    // A card that is tried out: velocity is the same whatever door its payments come in by.
    all.extend((20..34).map(|number| {
        json!({ "request_id": id(number), "kind": "card_payment", "amount_minor": 100, "currency": "SEK", "card_token": "tok-x",
            "merchant_id": format!("m{number}"), "mcc": 5_732, "ip": "198.51.100.7", "cvv": "no_match" })
    }));
    all
}

/// What an answer says, without what differs from engine to engine and run to run; of what is no request, why.
fn essence(mut answer: Value) -> Value {
    if let Some(problem) = answer.get("problem").or_else(|| answer.get("detail")) {
        return json!({ "problem": problem });
    }
    for key in ["position", "engine_us", "staleness_ms"] {
        answer.as_object_mut().expect("an object").remove(key).expect(key);
    }
    // A disk that is behind for a moment is said, and is nobody's door.
    answer["degraded"].as_array_mut().expect("a list").retain(|way| way != "unlogged");
    answer
}

fn flagged() -> EngineProcess {
    let engine = engine();
    let flags: &[(&str, &str)] = &[(TOLVAN, "verify"), (OTHER, "deny")];
    for (subject, wish) in flags {
        engine.json(&[
            "flag",
            "raise",
            "--json",
            "--subject",
            subject,
            "--wish",
            wish,
            "--until",
            "2030-12-31",
            "--reason",
            "scam",
        ]);
    }
    engine
}

fn by_client(engine: &EngineProcess, requests: &[Value]) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let client = Client::connect(engine.client("gateway")).await.expect("connected");
        let mut names = ReasonNames::new(&client);
        let mut answers = Vec::new();
        for request in requests {
            answers.push(match AuthorisationRequest::from_json(request) {
                Err(error) => json!({ "problem": error.to_string() }),
                Ok(request) => match client.screen(&request).await {
                    Err(error) => {
                        json!({ "problem": error.to_string().replace("the request cannot be sent: ", "") })
                    }
                    Ok(response) => {
                        if let Ok(decided) = response.answer {
                            names.learn(decided.reasons.iter()).await;
                        }
                        response.to_json(|code| names.name(code))
                    }
                },
            });
        }
        answers
    })
}

/// Line by line, as a script would: lines that are in flight together may not have one id.
fn by_command(engine: &EngineProcess, requests: &[Value]) -> Vec<Value> {
    let mut answers = Vec::new();
    for part in [&requests[..1], &requests[1..2], &requests[2..]] {
        let mut command = crate::support::sparr();
        command.args(["screen", "--json", "-", "--data-dir"]).arg(&engine.data_dir);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines: String = part.iter().map(|request| format!("{request}\n")).collect();
        child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        let lines = text(&output.stdout);
        answers.extend(lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
    }
    for answer in &mut answers {
        if let Some(problem) = answer.get("problem").and_then(Value::as_str) {
            *answer = json!({ "problem": problem.replace("the request cannot be sent: ", "") });
        }
    }
    answers
}

type Door = (&'static str, fn(&EngineProcess, &[Value]) -> Vec<Value>);

/// Every door beside the client's.
fn doors() -> [Door; 4] {
    [
        ("sparr screen", by_command),
        ("HTTP/1.1", |engine, requests| {
            let gateway = Caller::of(engine, "gateway");
            requests.iter().map(|request| gateway.post(PATH, request).body).collect()
        }),
        ("HTTP/1.1, a batch", |engine, requests| {
            let answer = Caller::of(engine, "gateway").post(PATH, &requests.into());
            in_document(&document(), PATH, &answer);
            answer.body.as_array().expect("a list").clone()
        }),
        ("HTTP/2", |engine, requests| {
            let gateway = Caller::of(engine, "gateway");
            requests
                .iter()
                .flat_map(|request| gateway.post_h2(PATH, std::slice::from_ref(request)))
                .map(|it| it.body)
                .collect()
        }),
    ]
}

#[test]
fn the_same_request_has_the_same_answer_at_every_door() {
    let (table, document) = (table(), document());
    let doors = doors();
    let engine = flagged();
    let wanted: Vec<Value> = by_client(&engine, &table).into_iter().map(essence).collect();
    // What is compared is worth comparing.
    let said = |key: &str, value: &str| wanted.iter().filter(|answer| answer[key] == value).count();
    assert!(said("outcome", "decline") >= 1 && said("outcome", "challenge") >= 3, "{wanted:#?}");
    for why in ["id_conflict", "identity_malformed", "card_number_refused", "time_skew"] {
        assert_eq!(said("not_screened", why), 1, "{why}: {wanted:#?}");
    }
    assert_eq!(wanted.iter().filter(|answer| answer.get("problem").is_some()).count(), 8, "{wanted:#?}");
    assert!(!serde_json::to_string(&wanted).expect("JSON").contains(TOLVAN), "nobody is named");
    for (name, ask) in doors {
        let engine = flagged();
        let answers = ask(&engine, &table);
        assert_eq!(answers.len(), table.len(), "{name}");
        for ((request, wanted), answer) in table.iter().zip(&wanted).zip(answers) {
            assert_eq!(essence(answer), *wanted, "{name}: {request}");
        }
    }
    // Many at once on one connection: each is answered, and as the document says.
    let invoices: Vec<Value> = (100..160)
        .map(|number| json!({ "request_id": id(number), "kind": "invoice", "subject": TOLVAN }))
        .collect();
    let answers = Caller::of(&engine, "gateway").post_h2(PATH, &invoices);
    for (request, answer) in invoices.iter().zip(&answers) {
        in_document(&document, PATH, answer);
        assert_eq!((answer.status, &answer.body["request_id"]), (200, &request["request_id"]));
        assert_eq!(answer.body["outcome"], "challenge", "{answer:?}");
    }
}

/// What a gateway sends for numbers is judged alike, whatever door it came in by.
#[test]
fn numbers_that_arrive_wrongly_are_told_at_every_door() {
    const CHECK: &str = "/v1/identity-check";
    let (engine, document) = (engine(), document());
    let gateway = Caller::of(&engine, "gateway");
    let ask = |body: Value| {
        let answer = gateway.post(CHECK, &body);
        in_document(&document, CHECK, &answer);
        (answer.status, answer.body)
    };
    let (status, named) = ask(json!({}));
    let numbers: Vec<String> = serde_json::from_value(named["challenges"].clone()).expect("texts");
    assert_eq!((status, numbers.len()), (200, sparr_protocol::identity_check::CHALLENGES.len()));
    type AsSent = fn(&str) -> String;
    let gateways: [(AsSent, usize); 3] = [
        (str::to_owned, 0),
        (|text| text.replace(['-', '+'], ""), 1),
        (|_| String::new(), numbers.len() - 1),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    for (as_sent, wrong) in gateways {
        let by_quic = runtime.block_on(async {
            let client = Client::connect(engine.client("gateway")).await.expect("connected");
            client.check_identities(as_sent).await.expect("an answer")
        });
        let sent: Vec<String> = numbers.iter().map(|number| as_sent(number)).collect();
        let (_, by_https) = ask(json!({ "answers": sent }));
        assert_eq!((by_quic.len(), &by_https["wrong"]), (wrong, &json!(by_quic)));
        assert_eq!(by_https["right"], json!(wrong == 0));
    }
    for body in [
        json!([]),
        json!({ "answer": [] }),
        json!({ "answers": [] }),
        json!({ "answers": [7] }),
        json!({ "answers": ["\u{7}"] }),
    ] {
        assert_eq!(ask(body.clone()).0, 400, "{body}");
    }
}

/// A gateway sees every answer once, whatever door it came in by; and only where the engine is for trying out.
#[test]
fn a_sandbox_gives_the_answer_that_is_asked_for_at_every_door() {
    let values: Vec<String> = sparr_engine::sandbox::values().collect();
    // What may not be asked at all is refused before anything is answered: 403 over HTTPS, for a batch as a whole.
    let may = |value: &&String| !value.ends_with("not-permitted");
    let requests: Vec<Value> = (1..)
        .zip(values.iter().filter(may))
        .map(|(number, value)| {
            json!({ "request_id": id(number), "kind": "card_payment", "card_token": format!("t{number}"), "merchant_id": value })
        })
        .collect();
    let start = |more: &[&str]| EngineProcess::start_with(&[&["--https", "127.0.0.1:0"], more].concat());
    let sandbox = start(&["--sandbox"]);
    let wanted: Vec<Value> = by_client(&sandbox, &requests).into_iter().map(essence).collect();
    for (request, answer) in requests.iter().zip(&wanted) {
        let value = request["merchant_id"].as_str().expect("text").trim_start_matches("sandbox-");
        let said = match (answer["not_screened"].as_str(), answer["review"].as_str()) {
            (Some(why), _) => format!("not-screened-{}", why.replace('_', "-")),
            (None, Some("none")) => answer["outcome"].as_str().expect("an outcome").to_owned(),
            (None, review) => format!("review-{}", review.expect("a review")),
        };
        assert_eq!(said, value);
        assert_eq!(answer["degraded"], json!(["sandbox"]), "{answer}");
        let bare = value == "approve" || value.starts_with("not-screened");
        assert_eq!(answer["reasons"] == json!(["sandbox"]), !bare, "{answer}");
    }
    for (name, ask) in doors() {
        let answers: Vec<Value> = ask(&sandbox, &requests).into_iter().map(essence).collect();
        assert_eq!(answers, wanted, "{name}");
    }
    let forbidden = json!({ "request_id": id(99), "kind": "card_payment", "merchant_id": "sandbox-not-screened-not-permitted" });
    let told = Caller::of(&sandbox, "gateway").post(PATH, &forbidden);
    assert_eq!((told.status, &told.body["code"]), (403, &json!("not_permitted")));
    // The control: an engine that is no sandbox screens them like any other payment.
    let answers = by_client(&start(&[]), &requests);
    assert!(answers.iter().all(|answer| answer["outcome"] == "approve"), "{answers:#?}");
    // And a production engine cannot be one.
    let refused = crate::support::sparr().args(["serve", "--sandbox"]).output().expect("it runs");
    assert!(!refused.status.success() && text(&refused.stderr).contains("--dev"), "{refused:?}");
}

#[test]
fn a_deadline_and_an_idempotency_key_stand_in_headers() {
    let engine = engine();
    let gateway = Caller::of(&engine, "gateway");
    let body = json!({ "kind": "invoice", "subject": TOLVAN, "amount_minor": 1, "currency": "SEK" });
    let send = |headers: &[(&str, &str)], body: &Value| {
        let headers: Vec<_> = [crate::client::JSON].iter().chain(headers).copied().collect();
        let answer = gateway.send("POST", "/v1/screen", &headers, &body.to_string());
        in_document(&document(), "/v1/screen", &answer);
        answer
    };
    let (key, other) = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7");
    let quoted = format!("{key:?}");
    let first = send(&[("Idempotency-Key", key)], &body).body;
    assert_eq!((&first["outcome"], &first["request_id"]), (&"approve".into(), &key.replace('-', "").into()));
    // Again it is the same answer; another body under it is a conflict.
    assert_eq!(essence(send(&[("Idempotency-Key", &quoted)], &body).body), essence(first));
    let larger = json!({ "kind": "invoice", "subject": TOLVAN, "amount_minor": 2, "currency": "SEK" });
    assert_eq!(send(&[("Idempotency-Key", key)], &larger).body["not_screened"], "id_conflict");
    let named = json!({ "request_id": key, "kind": "invoice", "subject": TOLVAN });
    for (headers, body, code) in [
        (("Idempotency-Key", other), &named, "key_differs"),
        (("Idempotency-Key", "twice"), &body, "key_malformed"),
        (("Idempotency-Key", other), &json!([named]), "key_with_batch"),
        (("Sparr-Deadline-Us", "0"), &named, "deadline_malformed"),
        (("Sparr-Deadline-Us", "soon"), &named, "deadline_malformed"),
    ] {
        let answer = send(&[headers], body);
        assert_eq!((answer.status, &answer.body["code"]), (400, &code.into()), "{headers:?}");
    }
    // A microsecond is over before the body is read; what a request says itself counts before the header.
    let fresh = |number: u64, deadline: Option<u64>| {
        let mut request = json!({ "request_id": id(number), "kind": "invoice", "subject": TOLVAN });
        request
            .as_object_mut()
            .expect("one")
            .extend(deadline.map(|us| ("deadline_us".to_owned(), us.into())));
        request
    };
    let late = send(&[("Sparr-Deadline-Us", "1")], &json!([fresh(1, None), fresh(2, Some(30_000_000))])).body;
    assert_eq!((&late[0]["not_screened"], &late[0]["retryable"]), (&"deadline_passed".into(), &true.into()));
    assert_eq!(late[1]["outcome"], "approve", "{late}");
}
