//! Requests that are encoded before a run, so that making them costs the generator nothing while it sends.

use crate::stream::{Planned, Truth};
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::{EncodeError, restamp};
use sparr_protocol::time::Timestamp;

/// What is remembered of a request besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What kind of payment it is.
    pub kind: Kind,
    /// Its amount, minor units.
    pub amount_minor: i64,
    /// What is known about it.
    pub truth: Truth,
}

/// Encoded requests, in order.
#[derive(Clone, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
    summaries: Vec<Summary>,
}

impl Frames {
    /// Encodes requests. `deadline_us` is given to those that have none; zero gives none.
    pub fn prepare(planned: impl Iterator<Item = Planned>, deadline_us: u32) -> Result<Self, EncodeError> {
        let mut frames = Self::default();
        for Planned { mut request, truth } in planned {
            if request.deadline_us == 0 {
                request.deadline_us = deadline_us;
            }
            request.encode(&mut frames.bytes)?;
            frames.ends.push(frames.bytes.len());
            let amount_minor = request.amount_minor.unwrap_or_default();
            frames.summaries.push(Summary { kind: request.kind, amount_minor, truth });
        }
        Ok(frames)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The frame of the request with this number, as it was prepared.
    pub fn frame(&self, number: u64) -> &[u8] {
        let place = self.place(number);
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// What is known of the request with this number. A run that is longer than the requests begins again with them.
    pub fn summary(&self, number: u64) -> &Summary {
        &self.summaries[self.place(number)]
    }

    /// Appends the request with this number to `out`, with the id that says its number, and the time of `stamp`.
    pub(crate) fn append(&self, number: u64, run: [u8; 8], stamp: Stamp, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(self.frame(number));
        match stamp {
            Stamp::AsPrepared if number < self.ends.len() as u64 => {}
            Stamp::AsPrepared | Stamp::AtReceipt => restamp(&mut out[at..], numbered(run, number), None),
        }
    }

    fn place(&self, number: u64) -> usize {
        (number % self.ends.len() as u64) as usize
    }
}

/// Which time a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Its own, as it was made: for an engine that runs on the requests' clock.
    AsPrepared,
    /// None: the engine's clock at receipt.
    AtReceipt,
}

/// The id of a run's request with this number.
pub fn numbered(run: [u8; 8], number: u64) -> RequestId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&run);
    id[8..].copy_from_slice(&number.to_be_bytes());
    RequestId(id)
}

/// The number that an id of the run says.
pub(crate) fn number_of(run: [u8; 8], id: RequestId) -> Option<u64> {
    let (front, back) = id.0.split_first_chunk::<8>()?;
    if *front == run { Some(u64::from_be_bytes(back.try_into().ok()?)) } else { None }
}

/// Midnight before which a stream that nobody dated begins.
pub const SOME_MIDNIGHT: Timestamp = Timestamp::from_ms(1_795_302_000_000);
