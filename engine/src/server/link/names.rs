//! What stream and subjects are called.

use super::Slot;
use sparr_protocol::ids::MemberName;

/// Slots for records of one engine: more records than this in a row push the oldest out of the stream.
pub const RECORD_SLOTS: u64 = 4_096;

/// The names within one network, as one engine needs them.
#[derive(Clone, Debug)]
pub(super) struct Names {
    network: String,
    me: (MemberName, u16),
}

impl Names {
    pub(super) fn new(network: &str, me: (MemberName, u16)) -> Self {
        Self { network: network.to_owned(), me }
    }

    /// The stream.
    pub(super) fn stream(&self) -> String {
        format!("SPARR_{}", self.network)
    }

    /// All subjects of the stream.
    pub(super) fn everything(&self) -> String {
        format!("sparr.{}.all.>", self.network)
    }

    /// A slot of this engine.
    pub(super) fn slot(&self, slot: Slot) -> String {
        let (member, engine) = self.me;
        let all = format!("sparr.{}.all", self.network);
        match slot {
            Slot::Beat => format!("{all}.beat.{member}.{engine}"),
            Slot::Position => format!("{all}.position.{member}.{engine}"),
            Slot::Records { sequence } => {
                format!("{all}.records.{member}.{engine}.{}", sequence % RECORD_SLOTS)
            }
        }
    }

    /// An engine's mailbox.
    pub(super) fn mailbox(&self, (member, engine): (MemberName, u16)) -> String {
        format!("sparr.{}.to.{member}.{engine}", self.network)
    }

    /// This engine's mailbox.
    pub(super) fn my_mailbox(&self) -> String {
        self.mailbox(self.me)
    }

    /// What the engines of this member tell each other.
    pub(super) fn own(&self) -> String {
        format!("sparr.{}.own.{}", self.network, self.me.0)
    }

    /// How the broker's operator sees this connection.
    pub(super) fn connection(&self) -> String {
        format!("sparr {}/{}", self.me.0, self.me.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_lies_in_the_stream_and_nothing_else_does() {
        let member = MemberName::parse("bank-1").expect("a name");
        let names = Names::new("se", (member, 7));
        let all = names.everything().trim_end_matches('>').to_owned();
        let slots = [
            (Slot::Beat, "sparr.se.all.beat.bank-1.7"),
            (Slot::Position, "sparr.se.all.position.bank-1.7"),
            (Slot::Records { sequence: 3 }, "sparr.se.all.records.bank-1.7.3"),
            (Slot::Records { sequence: 4_099 }, "sparr.se.all.records.bank-1.7.3"),
        ];
        for (slot, subject) in slots {
            assert_eq!(names.slot(slot), subject);
            assert!(subject.starts_with(&all));
        }
        assert_eq!(names.my_mailbox(), "sparr.se.to.bank-1.7");
        assert_eq!(names.own(), "sparr.se.own.bank-1");
        assert_eq!(names.stream(), "SPARR_se");
    }
}
