//! An engine whose disk is put back to an older state: what it had acknowledged since comes back from the others, and it goes
//! on behind it.

use crate::broker::Node;
use crate::engines::{Exchange, connect, declined, is_durable, raise, raise_all, until};
use crate::probe::run;
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(done.expect("cp runs").success());
}

/// Stops an engine in order.
fn stop(exchange: &mut Exchange, at: usize) {
    let engine = exchange.engines[at].take().expect("it runs");
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
}

#[test]
fn an_engine_on_an_older_disk_gets_its_own_records_back_and_goes_on() {
    let Some(node) = Node::start() else { return };
    let mut exchange = Exchange::start(&[node.url(), node.url()], "");
    run(raise_all(exchange.engine(0), 0..20));
    stop(&mut exchange, 0);
    let (data, old) = (exchange.dir(0), exchange.dir(0).with_extension("old"));
    copy(&data, &old);
    exchange.start_engine(0);
    run(raise_all(exchange.engine(0), 20..40));
    exchange.until_equal(20);
    exchange.kill_engine(0);
    std::fs::remove_dir_all(&data).expect("gone");
    copy(&old, &data);

    exchange.start_engine(0);
    let known = |exchange: &Exchange| run(declined(exchange.engine(0), 0..40)).len();
    until("its own records are back", || known(&exchange) == 40);
    // It has written nothing in this life; what it stands behind is what came back.
    stop(&mut exchange, 0);
    exchange.start_engine(0);
    assert_eq!(known(&exchange), 40);
    // On the older disk again, and this time it writes before it has heard anything: two histories, and none is lost.
    stop(&mut exchange, 0);
    std::fs::remove_dir_all(&data).expect("gone");
    copy(&old, &data);
    exchange.start_engine(0);
    run(async {
        let desk = connect(exchange.engine(0), "desk").await;
        assert!(is_durable(&desk, &raise(40)).await);
    });
    for at in 0..2 {
        until("everything is everywhere", || run(declined(exchange.engine(at), 0..41)).len() == 41);
    }
    stop(&mut exchange, 0);
    exchange.start_engine(0);
    assert_eq!(run(declined(exchange.engine(0), 0..41)).len(), 41);
}
