//! What a rule set would have changed, as it travels.

use super::ExchangeError;
use crate::codec;
use crate::ids::RuleSetDigest;
use crate::limits::TEXT_BYTES_MAX;

/// What a rule set would have changed among the requests of the last hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlastEntry {
    /// The rule set.
    pub digest: RuleSetDigest,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of those: answered otherwise.
    pub changes: u64,
    /// Declines under the active set.
    pub declines_before: u64,
    /// Declines under this one.
    pub declines_after: u64,
    /// Different people whose answer differs.
    pub people: u64,
    /// Of those: with a flag in force.
    pub flagged: u64,
    /// The same in a sentence, with the rules whose hits overlap: at most 254 bytes.
    pub sentence: String,
}

codec::wire_struct! {
    struct BlastWire / ArchivedBlastWire {
        digest: [u8; 16],
        requests: u64,
        changes: u64,
        declines_before: u64,
        declines_after: u64,
        people: u64,
        flagged: u64,
    }
}

/// Longest entry on the wire.
pub(super) const ENTRY_BYTES_MAX: usize = codec::size::<BlastWire>() + 1 + TEXT_BYTES_MAX;

/// Layout for `WIRE.md`.
#[cfg(test)]
pub(crate) const LAYOUT: &[(&str, usize, usize)] = BlastWire::LAYOUT;

impl BlastEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { requests, changes, declines_before, declines_after, people, flagged, .. } = *self;
        let digest = self.digest.0;
        let wire = BlastWire { digest, requests, changes, declines_before, declines_after, people, flagged };
        codec::write(&wire, out);
        codec::write_text(&self.sentence, out);
    }

    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ExchangeError> {
        let (wire, rest) = codec::read::<BlastWire>(bytes)?;
        let (sentence, rest) = codec::read_text(rest).map_err(|_| ExchangeError::Value("sentence"))?;
        let blast = Self {
            digest: RuleSetDigest(wire.digest),
            requests: wire.requests.to_native(),
            changes: wire.changes.to_native(),
            declines_before: wire.declines_before.to_native(),
            declines_after: wire.declines_after.to_native(),
            people: wire.people.to_native(),
            flagged: wire.flagged.to_native(),
            sentence: sentence.to_owned(),
        };
        Ok((blast, rest))
    }
}
