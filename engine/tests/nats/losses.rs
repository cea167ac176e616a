//! Brokers that are killed, paused, emptied and set back.

use crate::broker::Node;
use crate::probe::{Probe, run, to};
use crate::relay::{Relay, Weather};
use sparr_engine::server::link::{LinkEvent, Slot};
use std::time::Duration;

#[test]
fn what_was_stored_reaches_everybody_however_often_the_broker_is_killed() {
    let Some(mut node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        let mut sequence = 0;
        for round in 0..3 {
            for _ in 0..200 {
                sequence += 1;
                a.broadcast(
                    Slot::Records { sequence },
                    Some(format!("a:1:{sequence}")),
                    &sequence.to_string(),
                );
            }
            if round == 1 {
                // Somewhere in the middle of what is on the way.
                a.until(|event| matches!(event, LinkEvent::Published { stored: true, .. })).await;
            }
            node.kill();
            a.until_down().await;
            b.until_down().await;
            node.go();
            a.until_caught_up().await;
            b.until_caught_up().await;
        }
        a.store(0, "end").await;
        b.until_broadcast("end").await;
        assert_eq!((a.resets(), b.resets()), (1, 1), "only the new stream, nothing was lost");
        let stored = a.answered_once();
        assert!((1..=601).contains(&stored), "{stored}");
        let got = b.broadcasts();
        for event in &a.events {
            if let LinkEvent::Published { id, stored: true } = event {
                assert!(got.contains(&id.to_string().as_str()) || *id > sequence, "{id} was acknowledged");
            }
        }
    });
}

#[test]
fn a_broker_that_lost_its_store_is_noticed_and_nothing_of_the_new_stream_is_missed() {
    let Some(mut node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        for round in 1..=2 {
            for sequence in 0..20 {
                a.store(sequence, &format!("{round}:{sequence}")).await;
            }
            b.until_broadcast(&format!("{round}:19")).await;
            node.kill();
            node.wipe();
            node.go();
            // A publishes at once what the stream has lost, whether or not B is back already.
            a.until(|event| *event == LinkEvent::StreamReset).await;
            for sequence in 0..5 {
                a.store(sequence, &format!("{round}:{sequence} again")).await;
            }
            b.until_broadcast(&format!("{round}:4 again")).await;
            let again: Vec<&str> =
                b.broadcasts().into_iter().filter(|text| text.ends_with("again")).collect();
            let expected: Vec<String> = (1..=round)
                .flat_map(|round| (0..5).map(move |sequence| format!("{round}:{sequence} again")))
                .collect();
            assert_eq!(again, expected);
            assert_eq!((a.resets(), b.resets()), (1 + round, 1 + round), "{} / {}", a.story(), b.story());
        }
    });
}

#[test]
fn a_stream_that_somebody_deletes_or_empties_is_noticed_while_the_connection_stands() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let administrator =
            async_nats::jetstream::new(async_nats::connect(node.url()).await.expect("connected"));
        a.store(1, "one").await;
        a.store(2, "two").await;
        administrator.delete_stream("SPARR_test").await.expect("deleted");
        a.until(|event| *event == LinkEvent::StreamReset).await;
        a.until_caught_up().await;
        a.store(1, "one again").await;
        a.store(2, "two again").await;
        // The count of messages is what shows it: two looks at the stream, one before and one after.
        a.listen(Duration::from_millis(1_200)).await;
        let stream = administrator.get_stream("SPARR_test").await.expect("there");
        stream.purge().await.expect("emptied");
        a.until(|event| *event == LinkEvent::StreamReset).await;
        a.until_caught_up().await;
        assert_eq!(a.resets(), 3);
        assert_eq!(a.broadcasts(), ["one", "two", "one again", "two again"]);
    });
}

#[test]
fn an_older_store_is_noticed_even_where_others_have_gone_on_from_it() {
    let Some(mut node) = Node::start() else { return };
    let relay = Relay::start(node.port());
    let cut = Weather { cut: true, ..Weather::default() };
    let folder = tempfile::tempdir().expect("folder");
    let older = folder.path().join("older");
    run(async {
        let mut a = Probe::ready("a", to(relay.url())).await;
        a.store(1, "one").await;
        a.beat("first beat").await;
        node.kill();
        node.copy_store(&older);
        node.go();
        a.until_caught_up().await;
        for sequence in 2..10 {
            a.store(sequence, "more").await;
        }
        a.beat("last beat").await;
        assert_eq!(a.resets(), 1, "a broker that was killed alone has lost nothing");
        for others in [0, 50] {
            relay.weather(cut, cut);
            node.kill();
            node.put_back(&older);
            node.go();
            // Past the place that A has seen, before A can look.
            let mut b = Probe::ready("b", to(node.url())).await;
            for sequence in 0..others {
                b.store(sequence, &format!("{sequence} of b")).await;
            }
            a.until_down().await;
            relay.weather(Weather::default(), Weather::default());
            a.until(|event| *event == LinkEvent::StreamReset).await;
            a.until_caught_up().await;
            a.beat("a beat after that").await;
        }
        assert_eq!(a.resets(), 3, "{}", a.story());
        assert_eq!(a.broadcasts().iter().filter(|text| text.ends_with("of b")).count(), 50);
    });
}

#[test]
fn a_broker_that_pauses_is_down_and_comes_back_with_everything() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        a.store(1, "before").await;
        node.signal("STOP");
        let lost: Vec<u64> =
            (2..12).map(|sequence| a.broadcast(Slot::Records { sequence }, None, "into the pause")).collect();
        a.until_down().await;
        b.until_down().await;
        for id in lost {
            let refused = LinkEvent::Published { id, stored: false };
            if !a.events.contains(&refused) {
                a.until(|event| *event == refused).await;
            }
        }
        let refused = a.broadcast(Slot::Beat, None, "while down");
        a.until(|event| *event == LinkEvent::Published { id: refused, stored: false }).await;
        node.signal("CONT");
        a.until_caught_up().await;
        b.until_caught_up().await;
        a.store(20, "after").await;
        b.until_broadcast("after").await;
        assert!(!b.broadcasts().contains(&"while down"));
        assert_eq!((a.resets(), b.resets()), (1, 1), "{} / {}", a.story(), b.story());
        a.answered_once();
    });
}

#[test]
fn who_does_not_listen_for_a_while_misses_nothing_though_the_broker_is_killed_meanwhile() {
    let Some(mut node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        let written = 3_000;
        for sequence in 1..=written {
            a.broadcast(Slot::Records { sequence }, None, &sequence.to_string());
        }
        a.until(|event| *event == LinkEvent::Published { id: written, stored: true }).await;
        // More waits for B than it keeps.
        a.listen(Duration::from_millis(500)).await;
        node.kill();
        a.until_down().await;
        node.go();
        a.until_caught_up().await;
        b.until_broadcast(&written.to_string()).await;
        let got = b.broadcasts().into_iter().map(|text| text.parse::<u64>().expect("a number"));
        assert!(got.eq(1..=written), "each once and in order");
        assert!(b.count(|event| matches!(event, LinkEvent::Down { .. })) == 1, "{}", b.story());
    });
}

#[test]
fn a_link_without_a_broker_refuses_everything_and_keeps_nothing() {
    run(async {
        let mut a = Probe::start("a", to("nats://127.0.0.1:1".to_owned()));
        a.until_down().await;
        for _ in 0..20_000 {
            a.broadcast(Slot::Beat, None, "nobody hears it");
        }
        while a.count(|event| matches!(event, LinkEvent::Published { .. })) < 20_000 {
            a.next().await;
        }
        assert_eq!(a.answered_once(), 0);
        a.listen(Duration::from_secs(2)).await;
        let reasons = a.count(|event| matches!(event, LinkEvent::Down { .. }));
        assert_eq!(reasons, 1, "one reason is told once: {}", a.story());
    });
}
