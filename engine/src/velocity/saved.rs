//! The table as blocks of bytes: so that a restart goes on with what was counted.

use super::distinct::Sketch;
use super::event::{Amount, Event, Marks};
use super::panes::{PANES_MAX, Pane, Panes};
use super::table::Shard;
use super::window::{EXACT_EVENTS_MAX, Record};
use super::{Place, Velocity};
use crate::pack::Pack;
use sparr_protocol::time::Timestamp;
use std::io;

/// A block is handed on once it has so many bytes.
const BLOCK_BYTES: usize = 256 << 10;

impl Pack for Event {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { time, amount, kind, tags, id, marks } = self;
        time.pack(out);
        amount.minor().pack(out);
        kind.pack(out);
        tags.iter().for_each(|tag| tag.pack(out));
        id.pack(out);
        marks.0.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            time: Pack::unpack(from)?,
            amount: Amount::from(Option::<i64>::unpack(from)?),
            kind: Pack::unpack(from)?,
            tags: [u32::unpack(from)?, u32::unpack(from)?],
            id: Pack::unpack(from)?,
            marks: Marks(Pack::unpack(from)?),
        })
    }
}

impl Pack for Pane {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { first, last, count, sum, max, kinds, values, marked } = self;
        first.pack(out);
        last.pack(out);
        count.pack(out);
        sum.pack(out);
        max.pack(out);
        kinds.pack(out);
        values.iter().for_each(|sketch| sketch.0.pack(out));
        marked.iter().for_each(|marked| marked.pack(out));
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            first: Pack::unpack(from)?,
            last: Pack::unpack(from)?,
            count: Pack::unpack(from)?,
            sum: Pack::unpack(from)?,
            max: Pack::unpack(from)?,
            kinds: Pack::unpack(from)?,
            values: [Sketch(u64::unpack(from)?), Sketch(u64::unpack(from)?)],
            marked: [u32::unpack(from)?, u32::unpack(from)?],
        })
    }
}

impl Pack for Record {
    fn pack(&self, out: &mut Vec<u8>) {
        let Self { first, kept_until, missing_until, events, panes } = self;
        first.pack(out);
        kept_until.pack(out);
        missing_until.pack(out);
        let panes = panes.as_ref().map_or(&[][..], |panes| panes.all());
        // Both are bounded far below what two bytes can say.
        (events.len() as u16).pack(out);
        (panes.len() as u16).pack(out);
        events.iter().for_each(|event| event.pack(out));
        panes.iter().for_each(|pane| pane.pack(out));
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (first, kept_until, missing_until) =
            (Pack::unpack(from)?, Pack::unpack(from)?, Pack::unpack(from)?);
        let (events, panes) = (u16::unpack(from)?, u16::unpack(from)?);
        if usize::from(events) > EXACT_EVENTS_MAX || usize::from(panes) > PANES_MAX {
            return None;
        }
        let events = (0..events).map(|_| Event::unpack(from)).collect::<Option<_>>()?;
        let panes = (0..panes).map(|_| Pane::unpack(from)).collect::<Option<Vec<_>>>()?;
        let panes = (!panes.is_empty()).then(|| Box::new(Panes(panes)));
        Some(Self { first, kept_until, missing_until, events, panes })
    }
}

impl Velocity {
    /// Hands on every key in blocks, while others go on observing: each key as it is when its turn comes. In front stands
    /// until when keys have had to make room.
    pub fn save(&self, mut block: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES + (64 << 10));
        self.table.lost_until().pack(&mut bytes);
        block(&bytes)?;
        bytes.clear();
        let pack = |shard: &mut Shard, from, packed: &mut Vec<u8>| {
            for (place, record) in shard.stretch(from) {
                place.0.to_le_bytes().pack(packed);
                record.pack(packed);
            }
        };
        self.table.walk(pack, |packed| {
            bytes.extend_from_slice(packed);
            if bytes.len() >= BLOCK_BYTES {
                block(&bytes)?;
                bytes.clear();
            }
            Ok::<(), io::Error>(())
        })?;
        if bytes.is_empty() { Ok(()) } else { block(&bytes) }
    }

    /// Takes in what stands in front of the blocks. `None` where it is not what was written.
    pub fn load_front(&self, mut block: &[u8]) -> Option<()> {
        let lost_until = Timestamp::unpack(&mut block)?;
        self.table.has_lost(lost_until);
        block.is_empty().then_some(())
    }

    /// Takes in the keys of a block that are still remembered; where there is no room, older ones make it. `None` where
    /// the block is not what was written.
    pub fn load(&self, mut block: &[u8], now: Timestamp) -> Option<()> {
        while !block.is_empty() {
            let place = Place(u128::from_le_bytes(Pack::unpack(&mut block)?));
            let record = Record::unpack(&mut block)?;
            if record.kept_until() > now {
                let mut shard = self.table.shard(place);
                if let Some(known) = shard.take(place) {
                    self.take_out(known);
                }
                self.add(&mut shard, place, record);
            }
        }
        Some(())
    }
}
