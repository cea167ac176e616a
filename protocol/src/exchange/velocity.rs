//! A look at one velocity key as it travels: what its windows hold, and what it takes.

use super::{ExchangeError, zero};
use crate::codec;
use crate::codes::codes;
use crate::ids::Pseudonym;
use crate::limits::TEXT_BYTES_MAX;
use crate::personal::Personal;
use crate::time::Timestamp;

codes! {
    /// How a window was read.
    WindowState {
        /// Its amounts are in a currency that no rate converts, or the key is not known.
        Absent = 1 "absent",
        /// It cannot be told yet.
        Unknown = 2 "unknown",
        Exact = 3 "exact",
        /// About this: some events are known only together, which can count too many, or the key's earlier ones are missing.
        Capped = 4 "capped",
    }
}

/// One key, or a pair, as somebody types it: the name that rules have for it, and the value.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyText {
    /// The key's name in rules: `card`.
    pub name: String,
    /// The value.
    pub value: Personal,
}

/// What is kept of one key. It is followed by its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VelocityEntry {
    /// The key as rules write it: `card`, or `[card, merchant]`.
    pub key: String,
    /// The value, as the engine knows it.
    pub value: Pseudonym,
    /// The second value of a pair.
    pub second: Option<Pseudonym>,
    /// What is kept; `None` where nothing is.
    pub kept: Option<KeptKey>,
}

/// The record of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptKey {
    /// The first event since the key was new.
    pub first: Timestamp,
    /// The newest event that is kept; the smallest time where all have left.
    pub newest: Timestamp,
    /// Until when it is kept, if nothing else comes.
    pub kept_until: Timestamp,
    /// Events that are known one by one.
    pub events: u16,
    /// Groups of older events that are known only together.
    pub panes: u16,
    /// Bytes of memory, its place in the table included.
    pub bytes: u32,
}

/// What one window holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowEntry {
    /// The reading as a rule writes it: `velocity(card, "10m").count`.
    pub reading: String,
    /// How it was read.
    pub state: WindowState,
    /// What was read; 0 where nothing was.
    pub value: i64,
    /// When the window will have been observed for its whole length; `None` where it has.
    pub full_at: Option<Timestamp>,
}

codec::wire_struct! {
    struct KeyWire / ArchivedKeyWire {
        value: [u8; 16],
        second: [u8; 16],
        first: i64,
        newest: i64,
        kept_until: i64,
        bytes: u32,
        events: u16,
        panes: u16,
        is_pair: u8,
        is_kept: u8,
        reserved: [u8; 6],
    }
}

codec::wire_struct! {
    struct WindowWire / ArchivedWindowWire {
        value: i64,
        full_at: i64,
        state: u8,
        reserved: [u8; 7],
    }
}

/// Longest answer of these on the wire.
pub(super) const ENTRY_BYTES_MAX: usize = codec::size::<KeyWire>() + 1 + TEXT_BYTES_MAX;
const _: () = assert!(codec::size::<WindowWire>() <= codec::size::<KeyWire>());

/// Keys of one question.
const KEYS_MAX: usize = 2;

pub(super) fn write_keys(first: &KeyText, second: Option<&KeyText>, out: &mut Vec<u8>) {
    out.push(1 + u8::from(second.is_some()));
    for key in std::iter::once(first).chain(second) {
        codec::write_text(&key.name, out);
        codec::write_text(key.value.expose(), out);
    }
}

pub(super) fn read_keys(bytes: &[u8]) -> Result<(KeyText, Option<KeyText>), ExchangeError> {
    let (count, mut rest) = bytes.split_first().ok_or(ExchangeError::Length)?;
    if !(1..=KEYS_MAX).contains(&usize::from(*count)) {
        return Err(ExchangeError::Value("keys"));
    }
    let mut key = || {
        let (name, after) = codec::read_text(rest).map_err(|_| ExchangeError::Value("key"))?;
        let (value, after) = codec::read_text(after).map_err(|_| ExchangeError::Value("value"))?;
        rest = after;
        Ok::<_, ExchangeError>(KeyText { name: name.to_owned(), value: value.into() })
    };
    let first = key()?;
    let second = (*count == 2).then(key).transpose()?;
    if rest.is_empty() { Ok((first, second)) } else { Err(ExchangeError::Length) }
}

fn last_text(bytes: &[u8], what: &'static str) -> Result<String, ExchangeError> {
    match codec::read_text(bytes) {
        Ok((text, [])) => Ok(text.to_owned()),
        Ok(_) => Err(ExchangeError::Length),
        Err(_) => Err(ExchangeError::Value(what)),
    }
}

fn yes_or_no(byte: u8, what: &'static str) -> Result<bool, ExchangeError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ExchangeError::Value(what)),
    }
}

impl VelocityEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let none = KeptKey {
            first: Timestamp::from_ms(0),
            newest: Timestamp::from_ms(0),
            kept_until: Timestamp::from_ms(0),
            events: 0,
            panes: 0,
            bytes: 0,
        };
        let kept = self.kept.unwrap_or(none);
        let wire = KeyWire {
            value: self.value.0,
            second: self.second.map_or([0; 16], |second| second.0),
            first: kept.first.ms(),
            newest: kept.newest.ms(),
            kept_until: kept.kept_until.ms(),
            bytes: kept.bytes,
            events: kept.events,
            panes: kept.panes,
            is_pair: self.second.is_some().into(),
            is_kept: self.kept.is_some().into(),
            reserved: [0; 6],
        };
        codec::write(&wire, out);
        codec::write_text(&self.key, out);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<KeyWire>(bytes)?;
        zero(&wire.reserved)?;
        let kept = KeptKey {
            first: Timestamp::from_ms(wire.first.to_native()),
            newest: Timestamp::from_ms(wire.newest.to_native()),
            kept_until: Timestamp::from_ms(wire.kept_until.to_native()),
            events: wire.events.to_native(),
            panes: wire.panes.to_native(),
            bytes: wire.bytes.to_native(),
        };
        Ok(Self {
            key: last_text(rest, "key")?,
            value: Pseudonym(wire.value),
            second: yes_or_no(wire.is_pair, "is_pair")?.then_some(Pseudonym(wire.second)),
            kept: yes_or_no(wire.is_kept, "is_kept")?.then_some(kept),
        })
    }
}

impl WindowEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let wire = WindowWire {
            value: self.value,
            full_at: self.full_at.map_or(i64::MIN, Timestamp::ms),
            state: self.state.wire(),
            reserved: [0; 7],
        };
        codec::write(&wire, out);
        codec::write_text(&self.reading, out);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<WindowWire>(bytes)?;
        zero(&wire.reserved)?;
        let full_at = wire.full_at.to_native();
        Ok(Self {
            reading: last_text(rest, "reading")?,
            state: WindowState::from_wire(wire.state).ok_or(ExchangeError::Value("state"))?,
            value: wire.value.to_native(),
            full_at: (full_at != i64::MIN).then_some(Timestamp::from_ms(full_at)),
        })
    }
}

/// Layouts for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const KEY: &[(&str, usize, usize)] = super::KeyWire::LAYOUT;
    pub(crate) const WINDOW: &[(&str, usize, usize)] = super::WindowWire::LAYOUT;
}
