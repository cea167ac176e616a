//! One flag, everywhere: engines of several members over a real broker.

use crate::broker::Node;
use crate::engines::{
    Exchange, connect, declined, is_declined, is_durable, lift, raise, raise_all, screen, status, until,
};
use crate::probe::run;
use crate::relay::{Relay, Weather};
use crate::support::of_tier;
use sparr_protocol::exchange::{Refusal, Said};
use sparr_protocol::response::Why;
use std::time::Duration;

#[test]
fn a_flag_that_is_raised_and_lifted_at_one_member_is_so_at_all() {
    let Some(node) = Node::start() else { return };
    let exchange = Exchange::start(&[node.url(), node.url(), node.url()], "");
    run(async {
        for (at, number) in [(0, 10), (1, 11), (2, 12)] {
            let desk = connect(exchange.engine(at), "desk").await;
            for (request, flagged) in [(raise(number), true), (lift(number), false)] {
                assert!(is_durable(&desk, &request).await);
                for engine in exchange.running() {
                    let gateway = connect(engine, "gateway").await;
                    for _ in 0..400 {
                        if is_declined(&gateway, number).await == flagged {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    assert_eq!(is_declined(&gateway, number).await, flagged, "{number}");
                }
            }
        }
    });
    exchange.until_equal(2);
    let subject = sparr_loadgen::people::personal_number(10);
    until("all three members enforce it", || {
        let told = exchange.engine(0).json(&["flag", "status", "--json", "--subject", &subject]);
        let enforced = &told["flags"][0]["enforced"];
        (&enforced["at"], &enforced["of"]) == (&3.into(), &3.into())
    });
}

#[test]
fn who_joins_late_is_live_only_with_everything_and_who_was_away_gets_the_rest() {
    let Some(mut node) = Node::start() else { return };
    let mut exchange = Exchange::prepare(&[node.url(), node.url(), node.url()], "");
    exchange.start_engine(0);
    exchange.start_engine(1);
    exchange.until_equal(0);
    run(raise_all(exchange.engine(0), 0..300));
    exchange.start_engine(2);
    until("the third one is ready", || exchange.engine(2).get("/readyz").0 == 200);
    run(async {
        let known = declined(exchange.engine(2), 0..300).await;
        assert_eq!(known.len(), 300, "live, and does not have everything");
    });
    // Away while others go on, and back while there is no broker: it screens with what it has, and says how old that is.
    exchange.kill_engine(2);
    run(raise_all(exchange.engine(1), 1_000..1_100));
    node.kill();
    run(raise_all(exchange.engine(0), 300..400));
    exchange.start_engine(2);
    run(async {
        let gateway = connect(exchange.engine(2), "gateway").await;
        let answer = screen(&gateway, "invoice", 0).await;
        assert!(answer.answer.is_ok() && answer.staleness_ms > 0, "{answer:?}");
        assert!(declined(exchange.engine(2), 1_000..1_100).await.is_empty(), "nobody can have told it");
    });
    node.go();
    exchange.until_equal(400);
    run(async {
        for engine in exchange.running() {
            let all = (0..400).chain(1_000..1_100);
            assert_eq!(declined(engine, all.clone()).await, all.collect::<Vec<u64>>());
        }
    });
}

/// How old the state may be for an invoice, and what a cut must exceed, ms.
const STALE_AFTER_MS: u32 = 1_500;

#[test]
fn behind_a_cut_line_only_what_must_not_be_stale_is_not_screened() {
    let Some(node) = Node::start() else { return };
    let relay = Relay::start(node.port());
    let exchange =
        Exchange::start(&[node.url(), relay.url()], &format!("[stale_after_ms]\ninvoice = {STALE_AFTER_MS}"));
    let (good, cut) = (Weather::default(), Weather { cut: true, ..Weather::default() });
    run(async {
        let near = connect(exchange.engine(0), "gateway").await;
        let far = connect(exchange.engine(1), "gateway").await;
        for (up, down) in [(cut, cut), (cut, good), (good, cut)] {
            assert!(screen(&far, "invoice", 1).await.answer.is_ok());
            relay.weather(up, down);
            let mut screened = 0;
            loop {
                let answer = screen(&far, "invoice", 1).await;
                match answer.answer {
                    Ok(_) => {
                        assert!(answer.staleness_ms <= STALE_AFTER_MS, "{answer:?}");
                        screened += 1;
                    }
                    Err(why) => {
                        assert!(why.why == Why::Stale, "{why:?}");
                        assert!(answer.staleness_ms > STALE_AFTER_MS, "{answer:?}");
                        break;
                    }
                }
                assert!(screened < 1_000, "never stale");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(screened > 0, "stale at once");
            // What nobody asked to be fresh goes on, and so does everything elsewhere.
            assert!(screen(&far, "instant", 1).await.answer.is_ok());
            assert!(screen(&near, "invoice", 1).await.answer.is_ok());
            relay.weather(good, good);
            for step in 0.. {
                if screen(&far, "invoice", 1).await.answer.is_ok() {
                    break;
                }
                assert!(step < 1_000, "stale for ever: {}", status(exchange.engine(1)));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

/// P8: what was raised while there was no broker. The time that it takes is printed, not judged.
#[test]
fn records_of_a_long_outage_are_repaired() {
    let Some(mut node) = Node::start() else { return };
    let exchange = Exchange::start(&[node.url(), node.url(), node.url()], "");
    let people = of_tier(5_000, 100_000);
    node.kill();
    node.wipe();
    run(raise_all(exchange.engine(0), 0..people));
    node.go();
    let back = sparr_engine::server::clock::instant();
    exchange.until_equal(people);
    let took = sparr_engine::server::clock::instant().duration_since(back);
    println!(
        "{people} records are at all three engines {took:?} after the broker was back, with an empty store"
    );
    run(async {
        for engine in exchange.running() {
            assert_eq!(declined(engine, people - 100..people + 100).await.len(), 100);
        }
    });
}

#[test]
fn who_has_never_been_linked_takes_nothing_in_and_says_why() {
    let mut exchange = Exchange::prepare(&["nats://127.0.0.1:1".to_owned()], "");
    exchange.start_engine(0);
    let said = status(exchange.engine(0));
    assert_eq!((&said["exchange"]["linked"], &said["exchange"]["joined"]), (&false.into(), &false.into()));
    run(async {
        let desk = connect(exchange.engine(0), "desk").await;
        let answers = desk.exchange(&raise(0)).await.expect("an answer");
        assert!(matches!(&answers[..], [one] if one.said == Said::Refused(Refusal::NotReady)), "{answers:?}");
        let gateway = connect(exchange.engine(0), "gateway").await;
        let refused = screen(&gateway, "invoice", 0).await.answer.expect_err("not screened");
        assert_eq!(refused.why, Why::NotReady);
    });
}
