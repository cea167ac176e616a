//! The bytes of every message, frozen: what one version sends, another must read.

use crate::authority::{seal, sign};
use crate::node::member;
use sparr_engine::replication::{Body, Chunk, EngineOf, EpochHead, Message, Place, Position, Summary};
use sparr_protocol::record::Commit;
use std::fmt::Write as _;
use std::path::Path;

/// One message of each kind.
fn messages() -> Vec<(&'static str, Message)> {
    let from = EngineOf { member: member("bank-1"), engine: 2 }.in_epoch(3);
    let of = EngineOf { member: member("police"), engine: 1 };
    let last = Place { epoch: 7, sequence: 11 };
    let commit = Commit {
        origin: of.in_epoch(7),
        first_sequence: 10,
        last_sequence: 11,
        head: [4; 32],
        signing_key: 1,
        signature: [5; 64],
    };
    let position = Position {
        at: 1_795_348_800_000,
        number: 12,
        is_whole: true,
        rule_set: [6; 16],
        screens: 0b101,
        has: vec![Summary { of, last, digest: [8; 16], earlier: [9; 16] }],
    };
    let signature = sign(from.member, &position.signed_bytes(from));
    let head = EpochHead { epoch: 7, sequence: 11, digest: [4; 32], stamp: 1_795_348_800_000 };
    let bodies = [
        ("records", Body::Records(Chunk { commit, records: vec![1, 2, 3] })),
        ("beat", Body::Beat { sent_ms: 1_234, sequence: 56 }),
        ("position", Body::Position { position, signature }),
        ("ask", Body::Ask(of)),
        ("told", Body::Told { of, heads: vec![head] }),
        ("want", Body::Want { of, after: last }),
        ("later", Body::Later { epoch: 7 }),
    ];
    bodies.map(|(name, body)| (name, Message { from, body })).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn every_message_has_the_bytes_that_it_had() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/golden.txt");
    let mut text = String::new();
    for (name, message) in messages() {
        let _ = writeln!(text, "{name} {}", hex(&message.encode(seal)));
    }
    if std::env::var("SPARR_BLESS").is_ok() {
        std::fs::write(&path, &text).expect("written");
    }
    let frozen = std::fs::read_to_string(&path).expect("golden.txt");
    assert_eq!(text, frozen, "SPARR_BLESS=1 writes what is new, and WIRE.md says so");
}

#[test]
fn a_message_is_read_as_it_was_written_and_in_no_other_way() {
    for (name, message) in messages() {
        let bytes = message.encode(seal);
        let read = |bytes: &[u8]| Message::decode(bytes, |content, with| seal(content) == *with);
        assert_eq!(read(&bytes).as_ref(), Some(&message), "{name}");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "{name}, byte {at} changed");
            assert_eq!(read(&bytes[..at]), None, "{name}, cut after {at}");
            // Whoever holds the network key and cuts or lengthens a message: it is none either.
            assert_eq!(Message::decode(&bytes[..at], |_, _| true), None, "{name}, cut after {at}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Message::decode(&longer, |_, _| true), None, "{name}, longer");
    }
}
