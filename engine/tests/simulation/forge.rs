//! Messages of somebody who is not who he says, or says what he may not.

use crate::authority::{seal, sign};
use crate::broker::Kept;
use crate::node::{BEGAN_MS, member};
use crate::plan::Fault;
use crate::sim::Sim;
use crate::writer::Writer;
use sparr_engine::replication::{Body, Chunk, EngineOf, Message, Place, Position, Slot, Summary};
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName};
use sparr_protocol::record::{Origin, Payload};
use std::rc::Rc;

impl Sim {
    /// Puts a forged message into the stream, as whoever can publish there could.
    pub(crate) fn forge(&mut self, fault: Fault, node: usize) {
        let of = self.nodes[node].of;
        let epoch = self.nodes[node].process.as_ref().map_or(1, |process| process.epoch);
        let real = of.in_epoch(epoch);
        let nobody = Origin { member: member("mallory"), engine: 1, epoch: 1 };
        let unused = Origin { member: of.member, engine: 77, epoch: 1 };
        let bank = Origin { member: member("bank-1"), engine: 77, epoch: 1 };
        let message = match fault {
            Fault::ForgedSeal => self.records_of(unused, unused.member),
            Fault::ForgedSignature => self.records_of(real, nobody.member),
            Fault::ForgedPosition => self.position_of(real, nobody.member),
            Fault::Stranger if self.random.chance(50) => self.position_of(nobody, nobody.member),
            Fault::Stranger => self.records_of(nobody, nobody.member),
            _ => self.records_of(bank, bank.member),
        };
        let wrong = fault == Fault::ForgedSeal;
        let bytes: Rc<[u8]> = message.encode(|content| if wrong { [1; 16] } else { seal(content) }).into();
        self.hit(fault);
        if self.broker.is_up {
            let place = self.broker.take(EngineOf::of(nobody), Slot::Position, bytes, None);
            if let Some(kept) = self.broker.get(place).cloned() {
                self.deliver_to_all(place, &kept);
            }
        }
    }

    /// Records that go on where a life of an engine stands.
    fn records_of(&mut self, origin: Origin, signer: MemberName) -> Message {
        let of = EngineOf::of(origin);
        let heads = self.nodes.iter().flat_map(|node| node.disk.heads());
        let last =
            heads.filter(|(known, _)| *known == of).map(|(_, head)| head).max_by_key(|head| head.epoch);
        let mut writer = Writer::new(origin, last, BEGAN_MS);
        let actor = Actor::new(origin.member, Role::Centre, "mallory").expect("legal");
        let payload = Payload::MemberSuspended { member: member("bank-2"), why: "x".to_owned() };
        let (mut commit, records) = writer.commit(BEGAN_MS, vec![(actor, 1, payload)]);
        commit.signature = sign(signer, &commit.signed_bytes());
        let records = records.iter().flat_map(|sealed| sealed.bytes.clone()).collect();
        Message { from: origin, body: Body::Records(Chunk { commit, records }) }
    }

    /// A position that says that an engine has all that any engine has.
    fn position_of(&mut self, from: Origin, signer: MemberName) -> Message {
        let mut has: Vec<Summary> = Vec::new();
        for (of, head) in self.nodes.iter().flat_map(|node| node.disk.heads()) {
            let last = Place { epoch: head.epoch, sequence: head.sequence };
            match has.iter_mut().find(|known| known.of == of) {
                Some(known) => known.last = known.last.max(last),
                None => has.push(Summary { of, last, digest: [1; 16], earlier: [2; 16] }),
            }
        }
        let position =
            Position { at: BEGAN_MS, number: 1_000_000, is_whole: true, rule_set: [1; 16], screens: 7, has };
        let signature = sign(signer, &position.signed_bytes(from));
        Message { from, body: Body::Position { position, signature } }
    }

    fn deliver_to_all(&mut self, place: u64, kept: &Kept) {
        (0..self.nodes.len()).for_each(|to| self.deliver(to, place, kept, true));
    }
}
