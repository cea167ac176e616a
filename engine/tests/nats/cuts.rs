//! Lines that are cut, one way or both, late, or losing packets.

use crate::broker::Node;
use crate::probe::{Probe, run, to};
use crate::relay::{Relay, Weather};
use sparr_engine::server::link::{LinkEvent, Slot};
use std::time::Duration;

const GOOD: Weather = Weather { cut: false, delay: Duration::ZERO, lost_per_mille: 0 };
const CUT: Weather = Weather { cut: true, ..GOOD };

#[test]
fn a_cut_line_is_down_in_either_direction_and_nothing_is_missed_when_it_is_whole_again() {
    let Some(node) = Node::start() else { return };
    let relay = Relay::start(node.port());
    run(async {
        let mut near = Probe::ready("near", to(node.url())).await;
        let mut far = Probe::ready("far", to(relay.url())).await;
        for (number, (up, down)) in [(CUT, CUT), (CUT, GOOD), (GOOD, CUT)].into_iter().enumerate() {
            relay.weather(up, down);
            // What others say goes on, and alone does not keep a line up on which nobody hears us.
            far.broadcast(Slot::Beat, None, "into the cut line");
            for beat in 0..20 {
                near.beat(&format!("{number}:{beat}")).await;
            }
            near.store(u64::try_from(number).expect("small"), &format!("record {number}")).await;
            far.until_down().await;
            relay.weather(GOOD, GOOD);
            far.until_caught_up().await;
            far.store(100 + u64::try_from(number).expect("small"), &format!("of far {number}")).await;
            near.until_broadcast(&format!("of far {number}")).await;
        }
        assert_eq!((far.resets(), near.resets()), (1, 1), "{}", far.story());
        assert_eq!(near.count(|event| matches!(event, LinkEvent::Down { .. })), 0, "{}", near.story());
        far.answered_once();
        for number in 0..3 {
            let record = format!("record {number}");
            assert!(far.broadcasts().contains(&record.as_str()), "{record}");
        }
    });
}

#[test]
fn a_line_that_is_late_and_loses_packets_stays_up_and_keeps_the_order() {
    let Some(node) = Node::start() else { return };
    let relay = Relay::start(node.port());
    let weather = Weather { delay: Duration::from_millis(25), lost_per_mille: 20, ..GOOD };
    relay.weather(weather, weather);
    run(async {
        let mut near = Probe::ready("near", to(node.url())).await;
        let mut far = Probe::ready("far", to(relay.url())).await;
        for number in 0..100 {
            far.broadcast(Slot::Records { sequence: number }, None, &format!("far {number}"));
            near.broadcast(Slot::Records { sequence: number }, None, &format!("near {number}"));
            far.listen(Duration::from_millis(20)).await;
        }
        far.beat("end").await;
        far.until_broadcast("end").await;
        near.until_broadcast("end").await;
        assert_eq!(far.answered_once(), 101);
        assert_eq!(far.broadcasts(), near.broadcasts());
        assert_eq!(far.broadcasts().len(), 201);
        assert_eq!(far.count(|event| matches!(event, LinkEvent::Down { .. })), 0, "{}", far.story());
    });
}

#[test]
fn what_is_sent_faster_than_a_line_takes_it_is_answered_too() {
    let Some(node) = Node::start() else { return };
    let relay = Relay::start(node.port());
    run(async {
        let mut a = Probe::ready("a", to(relay.url())).await;
        relay.weather(CUT, GOOD);
        // More than the socket, the relay and every queue hold.
        let large = "x".repeat(60_000);
        for number in 0..2_000 {
            a.broadcast(Slot::Records { sequence: number }, None, &large);
        }
        a.until_down().await;
        relay.weather(GOOD, GOOD);
        a.until_caught_up().await;
        a.beat("end").await;
        a.until_broadcast("end").await;
        let stored = a.answered_once();
        assert!(stored < 2_000, "{stored}");
    });
}
