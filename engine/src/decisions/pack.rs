//! The parts of a logged answer as bytes.

use super::{Logged, LoggedBasis, LoggedRequest};
use crate::decision::VerifyUnavailable;
use crate::facts::ActingFlag;
use crate::indicators::Evidence;
use crate::pack::{Pack, pack_fields};
use crate::request::{About, Known, LivePseudonyms, Request};
use crate::velocity::Reading;
use sparr_protocol::frame::{MessageKind, Next};
use sparr_protocol::ids::RequestId;
use sparr_protocol::indicator::ClassName;
use sparr_protocol::limits::ANSWER_FRAME_BYTES_MAX;
use sparr_protocol::response::AuthorisationResponse;

/// Appends bytes with their length, as [`Vec::unpack`] reads them.
pub(super) fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    // No message comes near.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).pack(out);
    out.extend_from_slice(bytes);
}

/// Appends a list, as [`Vec::unpack`] reads it.
pub(super) fn list<T: Pack>(values: &[T], out: &mut Vec<u8>) {
    // No list of an answer comes near.
    u32::try_from(values.len()).unwrap_or(u32::MAX).pack(out);
    values.iter().for_each(|value| value.pack(out));
}

/// Appends an answer as it crosses the wire, behind its request's id, by which entries are looked for.
pub(super) fn response(response: &AuthorisationResponse, out: &mut Vec<u8>) {
    response.request_id.pack(out);
    let place = out.len();
    0u32.pack(out);
    response.encode(out);
    let length = (out.len() - place - size_of::<u32>()) as u32;
    out[place..place + size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
}

fn read_response(from: &mut &[u8]) -> Option<AuthorisationResponse> {
    let id: RequestId = Pack::unpack(from)?;
    let length = u32::unpack(from)? as usize;
    let (framed, rest) = from.split_at_checked(length)?;
    *from = rest;
    let Next::Frame { frame, .. } = Next::parse(framed, ANSWER_FRAME_BYTES_MAX) else { return None };
    let (MessageKind::ScreenAnswer, message) = frame.open().ok()? else { return None };
    AuthorisationResponse::decode(message).ok().filter(|response| response.request_id == id)
}

const ABSENT: u8 = 0;
const UNKNOWN: u8 = 1;
const EXACT: u8 = 2;
const CAPPED: u8 = 3;
/// An exact reading of 0 to 250 is its value in the second byte: most are.
const SMALL: u8 = 4;
/// As many absent readings in a row as the second byte says: most requests carry few of the keys.
const ABSENT_RUN: u8 = 5;

/// Appends readings, their number first.
pub(super) fn readings(readings: &[Reading], out: &mut Vec<u8>) {
    u32::try_from(readings.len()).unwrap_or(u32::MAX).pack(out);
    let mut rest = readings;
    while let Some((reading, after)) = rest.split_first() {
        rest = after;
        match *reading {
            Reading::Absent => {
                let more = rest.iter().take(254).take_while(|next| **next == Reading::Absent).count();
                rest = &rest[more..];
                out.extend_from_slice(&[ABSENT_RUN, more as u8 + 1]);
            }
            Reading::Unknown => out.push(UNKNOWN),
            Reading::Exact(value @ 0..=250) => out.extend_from_slice(&[SMALL, value as u8]),
            Reading::Exact(value) => {
                out.push(EXACT);
                value.pack(out);
            }
            Reading::Capped(value) => {
                out.push(CAPPED);
                value.pack(out);
            }
        }
    }
}

fn read_readings(from: &mut &[u8]) -> Option<Vec<Reading>> {
    let count = u32::unpack(from)? as usize;
    let mut readings = Vec::new();
    while readings.len() < count {
        match u8::unpack(from)? {
            ABSENT_RUN => {
                let run = usize::from(u8::unpack(from)?);
                if run == 0 || readings.len() + run > count {
                    return None;
                }
                readings.resize(readings.len() + run, Reading::Absent);
            }
            ABSENT => readings.push(Reading::Absent),
            UNKNOWN => readings.push(Reading::Unknown),
            SMALL => readings.push(Reading::Exact(u8::unpack(from)?.into())),
            EXACT => readings.push(Reading::Exact(Pack::unpack(from)?)),
            CAPPED => readings.push(Reading::Capped(Pack::unpack(from)?)),
            _ => return None,
        }
    }
    Some(readings)
}

impl Pack for VerifyUnavailable {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hold => 1u8.pack(out),
            Self::Decline => 2u8.pack(out),
        }
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        match u8::unpack(from)? {
            1 => Some(Self::Hold),
            2 => Some(Self::Decline),
            _ => None,
        }
    }
}

impl Pack for About {
    fn pack(&self, out: &mut Vec<u8>) {
        (*self as u8).pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::ALL.get(usize::from(u8::unpack(from)?)).map(|(about, _)| *about)
    }
}

impl Pack for ClassName {
    fn pack(&self, out: &mut Vec<u8>) {
        self.bytes().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let bytes = Pack::unpack(from)?;
        if bytes == *Self::NONE.bytes() { Some(Self::NONE) } else { Self::from_bytes(&bytes) }
    }
}

pack_fields!(ActingFlag { registrar, terms, is_open });
pack_fields!(Evidence { hit, contested, grade, class, role, attested, sources, strongest });
pack_fields!(LivePseudonyms { current, previous });

impl Pack for Known {
    fn pack(&self, out: &mut Vec<u8>) {
        self.with_parts(|values, age_years, event_time| {
            list(values, out);
            age_years.pack(out);
            event_time.pack(out);
        });
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self::from_parts(Pack::unpack(from)?, Pack::unpack(from)?, Pack::unpack(from)?))
    }
}

impl Pack for LoggedRequest {
    fn pack(&self, out: &mut Vec<u8>) {
        bytes(&self.message, out);
        self.known.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let length = u32::unpack(from)? as usize;
        let (message, rest) = from.split_at_checked(length)?;
        *from = rest;
        let one = Self { message: message.to_vec(), known: Pack::unpack(from)? };
        Request::known(&one.message, &one.known)?;
        Some(one)
    }
}

impl Pack for LoggedBasis {
    fn pack(&self, out: &mut Vec<u8>) {
        self.now.pack(out);
        self.of_this_payment.pack(out);
        self.verify_unavailable.pack(out);
        list(&self.flags, out);
        list(&self.indicators, out);
        readings(&self.readings, out);
        list(&self.enforced, out);
        list(&self.shadow, out);
        list(&self.silent, out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            now: Pack::unpack(from)?,
            of_this_payment: Pack::unpack(from)?,
            verify_unavailable: Pack::unpack(from)?,
            flags: Pack::unpack(from)?,
            indicators: Pack::unpack(from)?,
            readings: read_readings(from)?,
            enforced: Pack::unpack(from)?,
            shadow: Pack::unpack(from)?,
            silent: Pack::unpack(from)?,
        })
    }
}

impl Pack for Logged {
    fn pack(&self, out: &mut Vec<u8>) {
        self.answered_at.pack(out);
        response(&self.response, out);
        self.request.pack(out);
        self.basis.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            answered_at: Pack::unpack(from)?,
            response: read_response(from)?,
            request: Pack::unpack(from)?,
            basis: Pack::unpack(from)?,
        })
    }
}
