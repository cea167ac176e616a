//! Everybody who knocks wrongly is told so, in words that name nobody, and moves nothing.

use crate::authority::{Authority, GATEWAY, Wanted, client};
use crate::client::{Caller, JSON, address, document, engine, in_document, parse, read_all};
use crate::support::{TOLVAN, id};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

const PATHS: [&str; 5] = ["/v1/screen", "/v1/flags", "/v1/indicators", "/v1/results", "/v1/labels"];

#[test]
fn a_wrong_request_has_a_code_of_its_own() {
    let (engine, document) = (engine(), document());
    let gateway = Caller::of(&engine, "gateway");
    let good = json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN }).to_string();
    let huge = format!("{{\"request_id\": {:?}, \"x\": {:?}}}", id(1), "y".repeat(300_000));
    let batch = json!(vec![json!({ "request_id": id(1), "kind": "invoice" }); 257]).to_string();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    /// Method, path, media type, body; status and code.
    type Row<'a> = (&'a str, &'a str, (&'a str, &'a str), &'a str, u16, &'a str);
    let table: [Row<'_>; 13] = [
        ("POST", "/v1/screen", form, &good, 415, "media_type"),
        ("POST", "/v1/screen", ("Content-Type", "application/json; charset=utf-8"), &good, 200, ""),
        ("POST", "/v1/screen", JSON, "", 400, "no_request"),
        ("POST", "/v1/screen", JSON, "{\"kind\": \"invoice\", \"kind\": \"refund\"}", 400, "no_request"),
        ("POST", "/v1/screen", JSON, "[]", 400, "batch_size"),
        ("POST", "/v1/screen", JSON, &batch, 400, "batch_size"),
        ("POST", "/v1/screen", JSON, &huge, 413, "body_too_large"),
        ("GET", "/v1/screen", JSON, "", 405, "method_not_allowed"),
        ("DELETE", "/v1/flags", JSON, "", 405, "method_not_allowed"),
        ("POST", "/v1/191212121212", JSON, &good, 404, "not_found"),
        ("GET", "/v2/screen", JSON, "", 404, "not_found"),
        ("GET", "/desk/texts", JSON, "", 404, "not_found"),
        ("POST", "/v1/flags", JSON, "[{\"operation\": \"list\"}]", 400, "no_request"),
    ];
    for (method, path, media, body, status, code) in table {
        let answer = gateway.send(method, path, &[media], body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(!answer.body.to_string().contains(TOLVAN), "{answer:?}");
        if code.is_empty() {
            continue;
        }
        assert_eq!(
            (&answer.body["code"], answer.media_type.as_str()),
            (&code.into(), "application/problem+json")
        );
        assert_eq!(answer.body["status"], status);
        if method == "POST" && PATHS.contains(&path) {
            in_document(&document, path, &answer);
        }
        if status == 405 {
            assert!(answer.head.to_ascii_lowercase().contains("allow: post"), "{}", answer.head);
        }
    }
    // Nobody was screened but the one request that was right, and nothing of the rest was logged.
    assert_eq!(engine.metric("sparr_decision_duration_seconds_count"), 1.0);
    assert!(!engine.log().contains(TOLVAN));
    // The document is the one in the repository.
    let served = gateway.send("GET", "/v1/openapi.json", &[], "");
    assert_eq!((served.status, served.body), (200, document));
}

#[test]
fn a_role_does_what_it_may_and_nothing_else() {
    let (engine, document) = (engine(), document());
    let bodies: [Value; 5] = [
        json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN }),
        json!({ "operation": "status", "subject": TOLVAN }),
        json!({ "operation": "draft", "kind": "domain", "value": "example.org", "class": "scam", "grade": "observed" }),
        json!({ "request_id": id(1), "final": "authorised", "time": 1_795_348_800_000_i64 }),
        json!({ "payment_id": "p", "class": "scam", "known_at": 1_795_348_800_000_i64 }),
    ];
    for (role, may) in [
        ("gateway", [true, false, false, true, true]),
        ("desk", [false, true, false, false, false]),
        ("analyst", [false, false, true, false, false]),
        ("risk", [false, false, false, false, true]),
        ("operator", [false; 5]),
        // The police enter what they know themselves.
        ("police", [false, false, true, false, false]),
        ("desk-b", [false, true, false, false, false]),
    ] {
        let caller = Caller::of(&engine, role);
        for ((path, body), may) in PATHS.iter().zip(&bodies).zip(may) {
            let answer = caller.post(path, body);
            in_document(&document, path, &answer);
            assert_eq!(answer.status, if may { 200 } else { 403 }, "{role} {path}: {answer:?}");
            assert!(may || answer.body["code"] == "not_permitted", "{role} {path}: {answer:?}");
        }
    }
    // What was refused left no trace but in the counters.
    assert_eq!(engine.metric("sparr_flags{state=\"known\"}"), 0.0);
}

#[test]
fn only_a_certificate_that_names_one_caller_of_this_member_is_let_in() {
    let authority = Authority::new();
    authority.revoke(&[50], 2_100);
    let engine = authority.engine("https = \"127.0.0.1:0\"\n");
    let address = address(&engine);
    let screen = |caller: &Caller| {
        let body = json!({ "request_id": id(1), "kind": "refund" }).to_string();
        let head = format!(
            "POST /v1/screen HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        match caller.raw(&[head.as_bytes(), body.as_bytes()].concat()) {
            Ok(answer) if !answer.is_empty() => {
                let answer = parse(&answer);
                (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
            }
            Ok(_) | Err(_) => (0, String::new()),
        }
    };
    let expired = Wanted { until: 2_021, ..client("expired", &[GATEWAY], 51) };
    let server_only =
        Wanted { purpose: ExtendedKeyUsagePurpose::ServerAuth, ..client("server-only", &[GATEWAY], 52) };
    let table: [(Wanted, u16, &str); 6] = [
        (client("good", &[GATEWAY], 1), 200, ""),
        (client("revoked", &[GATEWAY], 50), 0, "handshake"),
        (expired, 0, "handshake"),
        (server_only, 0, "handshake"),
        (client("two", &[GATEWAY, "sparr://member/bank-1/desk/d1"], 3), 403, "no_caller"),
        (client("other", &["sparr://member/bank-2/gateway/g1"], 6), 403, "other_member"),
    ];
    for (wanted, status, counted) in &table {
        let line = format!("sparr_connections_rejected_total{{why=\"{counted}\"}}");
        let before = engine.metric(&line);
        let (got, code) = screen(&Caller::with(address, &authority.sign(wanted)));
        assert_eq!(got, *status, "{}: {code}", wanted.folder);
        if *status == 403 {
            assert_eq!(code, *counted);
        }
        if !counted.is_empty() {
            assert_eq!(engine.metric_becomes(&line, before + 1.0), before + 1.0, "{}", wanted.folder);
        }
    }
    let nobody = Caller::without(address, &authority.folder.path().join("ca.pem"));
    assert_eq!(screen(&nobody).0, 0, "without a certificate");
    // A connection that was open when its certificate was revoked is closed, and the next is not let in.
    let good = authority.folder.path().join("good");
    let caller = Caller::with(address, &good);
    let mut open = caller.connect();
    open.write_all(b"GET /v1/openapi.json HTTP/1.1\r\nHost: s\r\n\r\n").expect("written");
    let mut answered = [0; 12];
    open.read_exact(&mut answered).expect("an answer");
    assert_eq!(&answered, b"HTTP/1.1 200");
    authority.revoke(&[1], 2_100);
    engine.signal("HUP");
    read_all(&mut open).expect("it is closed in order");
    assert_eq!(screen(&caller).0, 0, "revoked");
}

#[test]
fn a_body_that_is_slow_or_half_sent_is_given_up_and_moves_nobody_else() {
    let engine = engine();
    let gateway = Caller::of(&engine, "gateway");
    let head = |length: usize| {
        format!(
            "POST /v1/screen HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let chunked = "POST /v1/screen HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Slow ones, while others are served.
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = gateway.connect();
            stream.write_all(format!("{}{{\"request_id\"", head(100)).as_bytes()).expect("written");
            stream
        })
        .collect();
    let good = json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN });
    assert_eq!(gateway.post("/v1/screen", &good).status, 200);
    // One that never ends and says no length is cut off at the bound.
    let endless = format!("{chunked}{}", format!("10000\r\n{}\r\n", "x".repeat(0x1_0000)).repeat(5));
    let mut stream = gateway.connect();
    // It may hang up before all is written.
    let _ = stream.write_all(endless.as_bytes());
    let answer = parse(&read_all(&mut stream).expect("an answer"));
    assert_eq!((answer.status, &answer.body["code"]), (413, &"body_too_large".into()));
    // Half of one, and then nobody.
    let mut stream = gateway.connect();
    stream.write_all(format!("{}{{\"request_id\"", head(100)).as_bytes()).expect("written");
    stream.conn.send_close_notify();
    stream.flush().expect("written");
    drop(stream);
    // What is no HTTP is not answered as if it were.
    let noise = gateway.raw(&[0x16; 64]).unwrap_or_default();
    assert!(noise.is_empty() || noise.starts_with("HTTP/1.1 400"), "{noise}");
    for mut stream in slow {
        let answer = parse(&read_all(&mut stream).expect("an answer"));
        assert_eq!((answer.status, &answer.body["code"]), (408, &"body_late".into()));
    }
    // A head that never ends is not waited for either, nor a connection on which nothing is said.
    let mut silent = gateway.connect();
    silent.flush().expect("a handshake");
    let mut stuck = gateway.connect();
    stuck.write_all(b"POST /v1/screen HTTP/1.1\r\nHost").expect("written");
    for mut stream in [silent, stuck] {
        let said = read_all(&mut stream).unwrap_or_default();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    }
    assert_eq!(engine.metric_becomes("sparr_connections", 0.0), 0.0);
    assert_eq!(engine.metric("sparr_decision_duration_seconds_count"), 1.0, "nobody else was screened");
    assert_eq!(gateway.post("/v1/screen", &good).status, 200);
}

#[test]
fn a_caller_has_so_many_connections_and_leaves_room_for_others() {
    let engine = engine();
    let (desk, gateway) = (Caller::of(&engine, "desk"), Caller::of(&engine, "gateway"));
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = desk.connect();
        stream.write_all(b"GET /v1/openapi.json HTTP/1.1\r\nHost: s\r\n\r\n").expect("written");
        open.push(stream);
    }
    assert_eq!(engine.metric_becomes("sparr_connections", 64.0), 64.0);
    let turned_away = desk.raw(b"GET /v1/openapi.json HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n");
    assert!(turned_away.unwrap_or_default().is_empty());
    assert_eq!(engine.metric("sparr_connections_rejected_total{why=\"crowded\"}"), 1.0);
    let good = json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN });
    assert_eq!(gateway.post("/v1/screen", &good).status, 200);
    drop(open);
    assert_eq!(engine.metric_becomes("sparr_connections", 0.0), 0.0);
    assert_eq!(desk.send("GET", "/v1/openapi.json", &[], "").status, 200);
}

#[test]
fn a_caller_whose_bodies_never_come_leaves_room_for_others() {
    let engine = engine();
    let (desk, gateway) = (Caller::of(&engine, "desk"), Caller::of(&engine, "gateway"));
    let statuses = std::thread::scope(|scope| {
        let begun = scope.spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            let three = (0..3).map(|_| desk.begin_h2("/v1/screen", 60));
            runtime.block_on(futures_util::future::join_all(three)).concat()
        });
        let good = json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN });
        while !begun.is_finished() {
            assert_eq!(gateway.post("/v1/screen", &good).status, 200);
        }
        begun.join().expect("no panic")
    });
    let of = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((of(408), of(503)), (128, 52), "{statuses:?}");
}

#[test]
fn a_stopping_engine_ends_in_order_while_a_body_is_under_way() {
    let engine = engine();
    let gateway = Caller::of(&engine, "gateway");
    let mut open = gateway.connect();
    let body = json!({ "request_id": id(1), "kind": "invoice", "subject": TOLVAN }).to_string();
    let (half, rest) = body.split_at(10);
    let head = format!(
        "POST /v1/screen HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    open.write_all(format!("{head}{half}").as_bytes()).expect("written");
    engine.signal("TERM");
    // The rest comes in time and is answered, or the engine was at rest before it and has hung up.
    let _ = open.write_all(rest.as_bytes());
    let said = read_all(&mut open).unwrap_or_default();
    assert!(said.is_empty() || parse(&said).status == 200, "{said}");
    assert_eq!(engine.wait(), Some(0));
}
