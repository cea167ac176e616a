//! What an engine knows, as blocks of bytes: so that a start reads the state, and of the journal only what came after.
//!
//! A snapshot is written while records go on being applied. It says up to where the journal is certainly in it; what came
//! later may be in it or not, and is applied again when it is read: the fold takes any record any number of times, in any
//! order. Files, checksums and threads are the server's (`server/snapshots.rs`).

use crate::exemptions::{Exemption, Of};
use crate::facts::Stores;
use crate::flags::snapshot::each;
use crate::indicators::Indicator;
use crate::journal::JournalHead;
use crate::members::MemberRecords;
use crate::pack::{Pack, pack_fields};
use crate::state::{Folded, State};
use sparr_protocol::ids::MemberName;
use std::io;

/// Version of what is written. It changes whenever a record is folded in another way, too: an older snapshot is then
/// left aside, and the journal is read from its beginning.
pub const SNAPSHOT_VERSION: u32 = 1;

/// A block is written once it has so many bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Section {
    /// What the snapshot is of: the first block.
    Head = 1,
    /// Who entered flags.
    FlagAuthors = 2,
    /// What flags say.
    FlagTerms = 3,
    /// Packed flags.
    FlagSlots = 4,
    /// Flags that are not packed.
    Flags = 5,
    /// Openings in flags.
    Passes = 6,
    /// Numbers that are one person.
    Links = 7,
    /// Requests to lift.
    LiftRequests = 8,
    /// Overrides by the central organisation.
    Overrides = 9,
    /// Indicators.
    Indicators = 10,
    /// Members.
    Members = 11,
    /// Exemptions.
    Exemptions = 12,
    /// Nothing: the last block. Without it a snapshot is not whole.
    End = 13,
}

impl Section {
    /// From its number.
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Head),
            2 => Some(Self::FlagAuthors),
            3 => Some(Self::FlagTerms),
            4 => Some(Self::FlagSlots),
            5 => Some(Self::Flags),
            6 => Some(Self::Passes),
            7 => Some(Self::Links),
            8 => Some(Self::LiftRequests),
            9 => Some(Self::Overrides),
            10 => Some(Self::Indicators),
            11 => Some(Self::Members),
            12 => Some(Self::Exemptions),
            13 => Some(Self::End),
            _ => None,
        }
    }
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// [`SNAPSHOT_VERSION`].
    pub version: u32,
    /// The member whose engine wrote it.
    pub member: MemberName,
    /// Fingerprints of the network keys under which it knew content. Under others it would know more, or less.
    pub keys: Vec<[u8; 16]>,
    /// Records that were applied.
    pub applied: u64,
    /// The last record of each member's engine, in order.
    pub journals: Vec<JournalHead>,
}

pack_fields!(SnapshotHead { version, member, keys, applied, journals });

/// A block holds something that was never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block holds what is not legal")]
pub struct Damaged;

/// Where blocks go.
pub trait Sink {
    /// Takes one block.
    fn block(&mut self, section: Section, bytes: &[u8]) -> io::Result<()>;
}

/// Packs items into blocks.
pub(crate) trait Items {
    /// Writes items as blocks of a section.
    fn items<T: Pack>(&mut self, section: Section, items: impl Iterator<Item = T>) -> io::Result<()>;
}

impl<S: Sink> Items for S {
    fn items<T: Pack>(&mut self, section: Section, items: impl Iterator<Item = T>) -> io::Result<()> {
        let mut block = Vec::new();
        for item in items {
            item.pack(&mut block);
            if block.len() >= BLOCK_BYTES {
                self.block(section, &block)?;
                block.clear();
            }
        }
        if block.is_empty() { Ok(()) } else { self.block(section, &block) }
    }
}

/// Writes everything that records have brought about.
pub fn write(state: &State, head: &SnapshotHead, sink: &mut impl Sink) -> io::Result<()> {
    sink.items(Section::Head, std::iter::once(head.clone()))?;
    // Every part is named, so that a new one does not compile until it is written as well.
    let Folded { stores, members, exemptions } = state.folded();
    let Stores { member: _, flags, indicators, velocity: _ } = stores;
    flags.write(sink)?;
    sink.items(Section::Indicators, indicators.every())?;
    sink.items(Section::Members, members.records().into_iter())?;
    sink.items(Section::Exemptions, exemptions.every().into_iter())?;
    sink.block(Section::End, &[])
}

/// Reads a snapshot into a state that no record has been applied to.
pub struct Reading<'a> {
    state: &'a State,
    is_whole: bool,
}

impl<'a> Reading<'a> {
    /// Begins to read, where the snapshot is one that this engine can go on from.
    pub fn begin(state: &'a State, head: &SnapshotHead) -> Option<Self> {
        let same = head.version == SNAPSHOT_VERSION
            && head.member == state.member()
            && head.keys == state.keyring.fingerprints();
        same.then(|| {
            state.begin_at(head.applied);
            Self { state, is_whole: false }
        })
    }

    /// Takes in the next block.
    pub fn block(&mut self, section: Section, bytes: &[u8]) -> Result<(), Damaged> {
        let Folded { stores, members, exemptions } = self.state.folded();
        if let Some(read) = stores.flags.read(section, bytes) {
            return read;
        }
        let bytes = &mut &*bytes;
        match section {
            Section::Indicators => each(bytes, |known: Indicator| {
                stores.indicators.restore(known);
                true
            }),
            Section::Members => each(bytes, |records: MemberRecords| {
                members.restore(records);
                true
            }),
            Section::Exemptions => each(bytes, |(of, known): (Of, Exemption)| {
                exemptions.restore(of, known);
                true
            }),
            Section::End => {
                self.is_whole = true;
                Ok(())
            }
            Section::Head
            | Section::FlagAuthors
            | Section::FlagTerms
            | Section::FlagSlots
            | Section::Flags
            | Section::Passes
            | Section::Links
            | Section::LiftRequests
            | Section::Overrides => Err(Damaged),
        }
    }

    /// Ends, where the last block was seen.
    pub fn end(self) -> Result<(), Damaged> {
        self.state.stores.flags.loaded();
        if self.is_whole { Ok(()) } else { Err(Damaged) }
    }
}

/// The head, from the first block.
pub fn head(section: Section, mut bytes: &[u8]) -> Result<SnapshotHead, Damaged> {
    match section {
        Section::Head => SnapshotHead::unpack(&mut bytes).filter(|_| bytes.is_empty()).ok_or(Damaged),
        _ => Err(Damaged),
    }
}
