//! What a healthy broker gives: one order for all, an answer for each, and what was there before.

use crate::broker::Node;
use crate::probe::{Probe, engine, run, to};
use sparr_engine::server::link::{LinkEvent, RECORD_SLOTS, Slot};
use sparr_protocol::time::Timestamp;
use std::time::Duration;

#[test]
fn all_get_everything_in_one_order_and_each_broadcast_is_answered_once() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        for number in 0..1_000 {
            a.broadcast(Slot::Records { sequence: number }, None, &format!("a{number}"));
            b.broadcast(Slot::Records { sequence: number }, None, &format!("b{number}"));
        }
        a.broadcast(Slot::Position, None, "last of a");
        b.broadcast(Slot::Position, None, "last of b");
        for probe in [&mut a, &mut b] {
            while probe.broadcasts().len() < 2_002
                || probe.count(|event| matches!(event, LinkEvent::Published { .. })) < 1_001
            {
                probe.next().await;
            }
            assert_eq!(probe.answered_once(), 1_001);
        }
        assert_eq!(a.broadcasts(), b.broadcasts());
        for (probe, first) in [(&a, 'a'), (&b, 'b')] {
            let own = |text: &&&str| text.starts_with(first);
            let numbers: Vec<usize> =
                probe.broadcasts().iter().filter(own).map(|t| t[1..].parse().expect("a number")).collect();
            assert!(numbers.into_iter().eq(0..1_000), "what one publishes keeps its order");
        }
    });
}

#[test]
fn a_record_that_is_published_again_comes_once_and_a_heartbeat_each_time() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        for beat in ["beat 1", "beat 2", "beat 3"] {
            a.store(1, "record").await;
            a.beat(beat).await;
            a.until_broadcast(beat).await;
        }
        assert_eq!(a.broadcasts(), ["record", "beat 1", "beat 2", "beat 3"]);
        assert_eq!(a.answered_once(), 6, "the broker has it, so it is stored");
    });
}

#[test]
fn who_comes_later_gets_the_newest_of_each_slot_and_only_then_has_caught_up() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        assert_eq!(a.resets(), 1, "a stream that was never filled is new to everybody");
        for number in 0..3 {
            a.broadcast(Slot::Beat, None, &format!("beat {number}"));
            a.broadcast(Slot::Records { sequence: number }, None, &format!("record {number}"));
        }
        a.broadcast(Slot::Records { sequence: 1 + RECORD_SLOTS }, None, "in the place of record 1");
        a.until_broadcast("in the place of record 1").await;
        let held = ["record 0", "beat 2", "record 2", "in the place of record 1"];
        let b = Probe::ready("b", to(node.url())).await;
        assert_eq!((b.broadcasts(), b.resets()), (held.to_vec(), 0));
        assert_eq!(b.events.last(), Some(&LinkEvent::CaughtUp), "after everything");
        // From a time on at which nothing was there any more.
        let tomorrow = Timestamp::from_ms(4_000_000_000_000);
        let mut c = Probe::since("c", to(node.url()), Some(tomorrow));
        c.until_caught_up().await;
        assert_eq!(c.broadcasts(), Vec::<&str>::new());
        let long_ago = Timestamp::from_ms(1_000_000_000_000);
        let mut d = Probe::since("d", to(node.url()), Some(long_ago));
        d.until_caught_up().await;
        assert_eq!(d.broadcasts(), held);
    });
}

#[test]
fn a_mailbox_is_one_engine_s_and_a_member_s_own_subject_its_engines() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut a = Probe::ready("a", to(node.url())).await;
        let mut b = Probe::ready("b", to(node.url())).await;
        a.link.send(engine("b"), b"for b".to_vec());
        a.link.send(engine("nobody"), b"for nobody".to_vec());
        a.link.send_own(b"among us".to_vec());
        a.until(|event| matches!(event, LinkEvent::Own(bytes) if bytes == "among us")).await;
        b.until(|event| matches!(event, LinkEvent::Direct(bytes) if bytes == "for b")).await;
        for probe in [&mut a, &mut b] {
            probe.listen(Duration::from_millis(100)).await;
        }
        assert_eq!(a.count(|event| matches!(event, LinkEvent::Direct(_))), 0);
        assert_eq!(b.count(|event| matches!(event, LinkEvent::Own(_))), 0);
    });
}

#[test]
fn engines_that_come_to_an_empty_broker_together_make_one_stream() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut probes: Vec<Probe> =
            (0..6).map(|number| Probe::start(&format!("e{number}"), to(node.url()))).collect();
        for probe in &mut probes {
            probe.until_caught_up().await;
        }
        probes[0].broadcast(Slot::Beat, None, "here");
        for probe in &mut probes {
            probe.until_broadcast("here").await;
            assert_eq!(probe.count(|event| matches!(event, LinkEvent::Down { .. })), 0, "{}", probe.story());
        }
    });
}

#[test]
fn a_broker_says_what_it_cannot_promise() {
    let Some(node) = Node::start() else { return };
    run(async {
        let mut wanting = to(node.url());
        wanting.replicas = 3;
        let mut a = Probe::start("a", wanting);
        let LinkEvent::Up { server } = a.until(|event| matches!(event, LinkEvent::Up { .. })).await else {
            panic!("{}", a.story());
        };
        assert_eq!(server.replicas, 1);
        assert!(server.remarks.iter().any(|remark| remark.contains("sync_interval")), "{server:?}");
        assert!(server.remarks.contains(&"the stream has 1 of 3 replicas".to_owned()), "{server:?}");
        assert_eq!(server.remarks.len(), 2, "{server:?}");
    });
}
