//! The service against the engine's own rules, and Redis against counting by hand.

use super::*;
use sparr_benches::MOMENT;
use sparr_benches::rules::sources;
use sparr_benches::shipped_rules;
use sparr_engine::facts::schema::{FieldIndex, Read};
use sparr_engine::facts::{Facts, Wanted};
use sparr_engine::request::{Keyring, NetworkKey, Request};
use sparr_engine::rules::{self, Hits};
use sparr_engine::velocity::Reading;
use sparr_loadgen::workload::Workload;
use sparr_protocol::frame::Next;
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

/// What every window holds in the test of the rules.
const IN_EVERY_WINDOW: i64 = 5;

fn payments(count: usize) -> Vec<AuthorisationRequest> {
    let mut workload = Workload::new(1, Load::Reference.population());
    (0..count).map(|_| workload.next_request(MOMENT.now)).collect()
}

#[test]
fn the_same_rules_hit_over_grpc_as_in_the_engine() {
    let forms = forms_of(&reference_questions(), 200);
    let keys = Keys::make().expect("keys");
    let compiled = Rules::compile(&forms);
    assert_eq!(compiled.len(), forms.len(), "the other evaluator takes every rule");
    let address = service::start(&keys, compiled, Windows::Stated(IN_EVERY_WINDOW)).expect("a service");
    let client = GrpcClient::new(address, &keys).expect("a client");

    let set = rules::load(&sources(&forms, &shipped_rules())).set.expect("rules");
    let keyring = Keyring::new(NetworkKey::new(1, [7; 32].into()), None);
    let wanted = Wanted {
        plan: set.plan(),
        observed_since: &[],
        rates: set.rates(),
        zone: set.zone(),
        began: Timestamp::MIN,
    };
    let readings = vec![Reading::Exact(IN_EVERY_WINDOW); set.plan().readings()];
    let mut hits_in_all = 0;
    for payment in payments(40) {
        let mut bytes = Vec::new();
        payment.encode(&mut bytes).expect("a frame");
        let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else {
            panic!("a frame")
        };
        let (_, message) = frame.open().expect("sound");
        let request = Request::parse(message, &keyring, MOMENT.today, MOMENT.now).expect("a request");
        let facts = Facts::stated(&request, &wanted, &keyring, None, &readings);
        let mut hits = Hits::default();
        set.evaluate(&facts, MOMENT.now, &mut hits);
        let mut ours: Vec<String> = hits.enforced.iter().map(|at| set.rules()[*at].id.to_string()).collect();

        let mut asked = ScreenRequest::from(&payment);
        let Some(Read::Int(hour)) = FieldIndex::find("hour").map(|field| field.def().read) else {
            panic!("the hour is a number")
        };
        asked.hour = hour(&facts);
        let answer = runtime().expect("a runtime").block_on(async {
            client.connect().await.expect("a connection").ask(asked).await.expect("an answer")
        });
        let mut theirs: Vec<String> = answer.rules.iter().map(|rule| format!("rule-{rule}")).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{payment:?}");
        assert_eq!(
            (answer.request_id.as_slice(), answer.outcome.as_str()),
            (&payment.request_id.0[..], "approve")
        );
        hits_in_all += ours.len();
    }
    assert!(hits_in_all >= 20, "payments that hit nothing would prove nothing: {hits_in_all} hits");
}

#[test]
fn redis_counts_a_payment_in_each_of_its_windows_and_knows_the_flagged() {
    let payment = ScreenRequest::from(&payments(1)[0]);
    let Some(redis) = Redis::start(payment.subject.clone().into_iter()).expect("Redis") else {
        eprintln!("NOT TESTED: there is no redis-server here");
        return;
    };
    runtime().expect("a runtime").block_on(async {
        let mut connection = redis::connect(&redis.socket()).await.expect("a connection");
        for number in 1..=3u8 {
            let mut asked = ScreenRequest { request_id: vec![number], ..payment.clone() };
            if number == 3 {
                asked.subject = Some("196408233234".to_owned());
            }
            let known = redis::known(&mut connection, &asked).await.expect("an answer");
            assert_eq!(known.is_flagged, number < 3, "payment {number}");
            for (at, (counts, key)) in known.counts.iter().zip(asked.keys()).enumerate() {
                let count = match key {
                    None => 0,
                    Some(_) if at == 1 && number == 3 => 1,
                    Some(_) => i64::from(number),
                };
                assert_eq!(*counts, [count; 3], "payment {number}, key {at}");
            }
        }
    });
}
