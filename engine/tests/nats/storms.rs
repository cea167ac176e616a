//! Everything that can become of a broker and of the lines to it, one after the other, while flags are raised at every engine
//! and every engine screens.

use crate::broker::Node;
use crate::engines::{Exchange, connect, declined, is_durable, raise, screen};
use crate::probe::run;
use crate::relay::{Relay, Weather};
use crate::support::of_tier;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// People whom the storm's screening asks about; nobody flags them.
const NOBODY: u64 = 900_000;

/// What the load has seen.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<Vec<u64>>,
    screened: AtomicU64,
    not_screened: AtomicU64,
    oldest_ms: AtomicU32,
}

#[test]
fn no_acknowledged_flag_is_lost_and_screening_goes_on_whatever_becomes_of_the_broker() {
    let Some(mut node) = Node::start() else { return };
    let relays: Vec<Relay> = (0..3).map(|_| Relay::start(node.port())).collect();
    let urls: Vec<String> = relays.iter().map(Relay::url).collect();
    let exchange = Exchange::start(&urls, "");
    let (seen, over) = (Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for at in 0..3 {
            let (exchange, seen, over) = (&exchange, &seen, &over);
            scope.spawn(move || run(raise_on(exchange, at, seen, over)));
            scope.spawn(move || run(screen_on(exchange, at, seen, over)));
        }
        storm(&mut node, &relays);
        over.store(true, Ordering::Relaxed);
    });
    let mut acknowledged = seen.acknowledged.into_inner().expect("whole");
    acknowledged.sort_unstable();
    exchange.until_equal(1);
    let screened = seen.screened.into_inner();
    println!(
        "{} flags acknowledged, {screened} payments screened, the oldest state was {} ms old",
        acknowledged.len(),
        seen.oldest_ms.load(Ordering::Relaxed)
    );
    assert_eq!(seen.not_screened.into_inner(), 0, "of {screened}");
    assert!(acknowledged.len() > 100 && screened > 1_000, "nothing was tried");
    assert!(seen.oldest_ms.into_inner() > 1_000, "nothing was cut");
    let last = acknowledged.last().copied().unwrap_or_default();
    run(async {
        for engine in exchange.running() {
            // Nothing was killed that raises, so nothing is in flight: all that there is was acknowledged.
            assert_eq!(declined(engine, 0..last + 30).await, acknowledged);
        }
    });
}

/// Raises flags at an engine, one after the other, for people of its own.
async fn raise_on(exchange: &Exchange, at: u64, seen: &Seen, over: &AtomicBool) {
    let desk = connect(exchange.engine(at as usize), "desk").await;
    let mut number = at;
    while !over.load(Ordering::Relaxed) {
        assert!(is_durable(&desk, &raise(number)).await, "the own journal needs no broker");
        seen.acknowledged.lock().expect("whole").push(number);
        number += 3;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn screen_on(exchange: &Exchange, at: u64, seen: &Seen, over: &AtomicBool) {
    let gateway = connect(exchange.engine(at as usize), "gateway").await;
    let mut number = NOBODY;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let answer = screen(&gateway, "transfer", number).await;
        let count = if answer.answer.is_ok() { &seen.screened } else { &seen.not_screened };
        count.fetch_add(1, Ordering::Relaxed);
        seen.oldest_ms.fetch_max(answer.staleness_ms, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

fn storm(node: &mut Node, relays: &[Relay]) {
    let folder = tempfile::tempdir().expect("folder");
    let older = folder.path().join("older");
    let pause = |ms| std::thread::sleep(Duration::from_millis(ms));
    let (good, cut) = (Weather::default(), Weather { cut: true, ..Weather::default() });
    for round in 0..of_tier(3, 50) {
        node.kill();
        if round == 0 {
            node.copy_store(&older);
        }
        node.go();
        // Sometimes before everybody is back, sometimes after.
        pause(150 + 400 * (round % 4));
    }
    node.kill();
    node.wipe();
    node.go();
    pause(1_000);
    node.kill();
    node.put_back(&older);
    node.go();
    pause(1_000);
    node.signal("STOP");
    pause(of_tier(3_000, 10_000));
    node.signal("CONT");
    pause(500);
    for (number, (up, down)) in [(cut, cut), (cut, good), (good, cut)].into_iter().enumerate() {
        relays[number].weather(up, down);
        pause(2_500);
        relays[number].weather(good, good);
        pause(300);
    }
}
