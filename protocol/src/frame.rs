//! A frame: an eight-byte header, then one message.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 2 | length of the message that follows, little-endian |
//! | 2 | 1 | wire version |
//! | 3 | 1 | message kind |
//! | 4 | 4 | CRC-32C of bytes 0–3 and the message, little-endian |
//!
//! The length is two bytes, so a frame that is too large can still be skipped and the stream goes on. Every
//! message begins with 16 bytes of id, whatever its kind and version, so an answer can nearly always name the
//! question it refuses.

use crate::codes::codes;
use crate::ids::RequestId;
use crate::limits::{
    ANSWER_FRAME_BYTES_MAX, EXCHANGE_ANSWER_FRAME_BYTES_MAX, FRAME_HEADER_BYTES, REQUEST_FRAME_BYTES_MAX,
};

/// The application protocol that both sides name in the TLS handshake.
pub const ALPN: &[u8] = b"sparr/1";

/// The version that this crate speaks.
pub const WIRE_VERSION: u8 = 1;

codes! {
    /// What a frame carries. Questions have the high bit clear, answers have it set.
    MessageKind {
        /// An authorisation request.
        Screen = 1 "screen",
        /// What became of a payment, told within seconds.
        FinalResult = 2 "final_result",
        /// What a payment turned out to be, told within weeks.
        Label = 3 "label",
        /// An operation of the exchange: raise, lift, status, list.
        Exchange = 4 "exchange",
        /// An authorisation response.
        ScreenAnswer = 129 "screen_answer",
        /// The answer to an exchange operation.
        ExchangeAnswer = 132 "exchange_answer",
    }
}

codes! {
    /// Why an engine closes a connection or stops reading a stream.
    CloseCode {
        /// The certificate names no caller.
        NoCaller = 1 "no_caller",
        /// The certificate is another member's.
        OtherMember = 2 "other_member",
        /// The stream's frames can no longer be told apart.
        FrameMalformed = 3 "frame_malformed",
        /// The engine is shutting down.
        ShuttingDown = 4 "shutting_down",
    }
}

impl CloseCode {
    /// What the other side is told, for people.
    pub const fn words(self) -> &'static [u8] {
        match self {
            Self::NoCaller => b"the certificate names no sparr://member/<member>/<role>/<id>",
            Self::OtherMember => b"the certificate belongs to another member than this engine's",
            Self::FrameMalformed => b"a frame's checksum does not agree",
            Self::ShuttingDown => b"the engine is shutting down",
        }
    }
}

/// What stands at the front of a stream's unread bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Not a whole frame yet: at least this many bytes more are needed.
    Incomplete(usize),
    /// One whole frame, and the bytes that it takes up.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// Bytes to drop from the front of the stream.
        consumed: usize,
    },
    /// A frame that says it is longer than any legal one: its id, where that much has arrived, and how many bytes
    /// to drop, some of which may not have arrived.
    TooLarge {
        /// Id of the message, or zeros.
        id: RequestId,
        /// Bytes to drop from the stream, header included.
        skip: usize,
    },
}

/// One frame whose boundaries are known.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    header: [u8; FRAME_HEADER_BYTES],
    message: &'a [u8],
}

/// Why a frame's message is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another wire version.
    #[error("wire version {0}; this engine speaks version {WIRE_VERSION}")]
    Version(u8),
    /// The checksum does not agree.
    #[error("the frame's checksum does not agree")]
    Checksum,
    /// A message kind that this version does not know.
    #[error("message kind {0} is unknown")]
    Kind(u8),
}

impl<'a> Next<'a> {
    /// Looks at the front of a stream. `frame_bytes_max` is the longest frame that this side accepts.
    pub fn parse(bytes: &'a [u8], frame_bytes_max: usize) -> Self {
        let Some((header, rest)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Self::Incomplete(FRAME_HEADER_BYTES - bytes.len());
        };
        let length = usize::from(u16::from_le_bytes([header[0], header[1]]));
        let consumed = FRAME_HEADER_BYTES + length;
        if consumed > frame_bytes_max {
            // The id is worth waiting for: without it the client cannot tell which request was refused.
            return match rest.first_chunk::<16>() {
                Some(id) => Self::TooLarge { id: RequestId(*id), skip: consumed },
                None => Self::Incomplete(16 - rest.len()),
            };
        }
        match rest.get(..length) {
            Some(message) => Self::Frame { frame: Frame { header: *header, message }, consumed },
            None => Self::Incomplete(length - rest.len()),
        }
    }
}

impl<'a> Frame<'a> {
    /// The id with which every message begins, readable even in a frame that is refused.
    pub fn id(&self) -> RequestId {
        self.message.first_chunk().map_or(RequestId::UNREADABLE, |id| RequestId(*id))
    }

    /// Version, checksum and kind, in this order: a newer version may have another checksum and other kinds.
    pub fn open(&self) -> Result<(MessageKind, &'a [u8]), FrameError> {
        let [length_low, length_high, version, kind, checksum @ ..] = self.header;
        if version != WIRE_VERSION {
            return Err(FrameError::Version(version));
        }
        let expected = checksum_of([length_low, length_high, version, kind], self.message);
        if u32::from_le_bytes(checksum) != expected {
            return Err(FrameError::Checksum);
        }
        Ok((MessageKind::from_wire(kind).ok_or(FrameError::Kind(kind))?, self.message))
    }
}

fn checksum_of(header: [u8; 4], message: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header), message)
}

/// A message did not fit a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message makes a frame of {bytes} bytes; the longest is {max}")]
pub struct TooLarge {
    /// Bytes that the frame would take.
    pub bytes: usize,
    /// Bytes that a frame may take.
    pub max: usize,
}

/// Appends one frame whose message is written by `write`; on error `out` is as it was.
pub(crate) fn append(
    kind: MessageKind,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), TooLarge> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    write(out);
    let bytes = out.len() - start;
    let max = match kind {
        MessageKind::ScreenAnswer => ANSWER_FRAME_BYTES_MAX,
        MessageKind::ExchangeAnswer => EXCHANGE_ANSWER_FRAME_BYTES_MAX,
        MessageKind::Screen | MessageKind::FinalResult | MessageKind::Label | MessageKind::Exchange => {
            REQUEST_FRAME_BYTES_MAX
        }
    };
    if bytes > max {
        out.truncate(start);
        return Err(TooLarge { bytes, max });
    }
    let [low, high] = ((bytes - FRAME_HEADER_BYTES) as u16).to_le_bytes();
    out[start..][..4].copy_from_slice(&[low, high, WIRE_VERSION, kind.wire()]);
    seal(&mut out[start..]);
    Ok(())
}

/// Writes the checksum of a whole frame whose other bytes stand.
pub(crate) fn seal(frame: &mut [u8]) {
    let (header, message) = frame.split_at_mut(FRAME_HEADER_BYTES);
    let checksum = checksum_of([header[0], header[1], header[2], header[3]], message);
    header[4..].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        append(MessageKind::Screen, &mut out, |out| out.extend_from_slice(message)).expect("fits");
        out
    }

    #[test]
    fn frames_are_found_in_any_split_of_a_stream() {
        let message: Vec<u8> = (0..40).collect();
        let stream = [framed(&message), framed(&message[..20])].concat();
        for split in 0..framed(&message).len() {
            let Next::Incomplete(more) = Next::parse(&stream[..split], REQUEST_FRAME_BYTES_MAX) else {
                panic!("a whole frame in {split} bytes");
            };
            assert!(more > 0 && split + more <= framed(&message).len());
        }
        let Next::Frame { frame, consumed } = Next::parse(&stream, REQUEST_FRAME_BYTES_MAX) else {
            panic!("no frame")
        };
        assert_eq!(frame.open(), Ok((MessageKind::Screen, &message[..])));
        assert_eq!(frame.id().0, message[..16]);
        let Next::Frame { frame, .. } = Next::parse(&stream[consumed..], REQUEST_FRAME_BYTES_MAX) else {
            panic!("no second frame")
        };
        assert_eq!(frame.open(), Ok((MessageKind::Screen, &message[..20])));
    }

    #[test]
    fn every_flipped_bit_is_noticed_with_the_id_intact_where_it_can_be() {
        let message: Vec<u8> = (0..64).collect();
        let good = framed(&message);
        for bit in 16..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let Next::Frame { frame, .. } = Next::parse(&bad, REQUEST_FRAME_BYTES_MAX) else {
                panic!("bit {bit} moved the frame's end")
            };
            let error = frame.open().expect_err("noticed");
            let expected = if bit / 8 == 2 { FrameError::Version(bad[2]) } else { FrameError::Checksum };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_named_and_can_be_skipped() {
        let mut bytes = vec![0; 4_000];
        bytes[..2].copy_from_slice(&3_000u16.to_le_bytes());
        bytes[8..24].copy_from_slice(&[7; 16]);
        assert_eq!(
            Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX),
            Next::TooLarge { id: RequestId([7; 16]), skip: 3_008 }
        );
        assert_eq!(Next::parse(&bytes[..10], REQUEST_FRAME_BYTES_MAX), Next::Incomplete(14));
        let mut out = vec![1, 2, 3];
        let refused = append(MessageKind::Screen, &mut out, |out| out.extend_from_slice(&[0; 1_100]));
        assert_eq!((refused, out), (Err(TooLarge { bytes: 1_108, max: 1_024 }), vec![1, 2, 3]));
    }
}
