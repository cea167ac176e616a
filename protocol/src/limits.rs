//! Every bound of the wire, side by side, compared by the compiler.
//!
//! A bound here is part of the protocol: raising one is a new wire version, because a peer sizes its buffers
//! by it.

/// Bytes of a frame's header: length, version, kind, checksum.
pub const FRAME_HEADER_BYTES: usize = 8;

/// Longest frame that a client may send, header included. Small enough for one QUIC packet, so that a request
/// never waits for a second one.
pub const REQUEST_FRAME_BYTES_MAX: usize = 1_024;

/// Longest answer frame, header included. Answers are fixed: an engine can place all answers of a batch in a
/// buffer whose size it knows beforehand.
pub const ANSWER_FRAME_BYTES_MAX: usize = 128;

/// Longest answer frame of the exchange, header included. These answers are few, and no payment waits for them.
pub const EXCHANGE_ANSWER_FRAME_BYTES_MAX: usize = 768;

/// Payload of one QUIC packet on an Ethernet path without jumbo frames (1,500 − IPv6 and UDP headers).
pub const DATAGRAM_BYTES_MAX: usize = 1_452;

/// Longest single text in a message: one length byte, and 255 kept free for a later escape.
pub const TEXT_BYTES_MAX: usize = 254;

/// Longest `payment_id` and `original_payment_id`.
pub const PAYMENT_ID_BYTES_MAX: usize = 32;

/// Most reasons that one answer names; more hits than this keep the first by precedence.
pub const REASONS_MAX: usize = 8;

/// Longest member name: it stands in certificates, records and metrics labels.
pub const MEMBER_BYTES_MAX: usize = 24;

/// Longest id of the person or machine that acts, in a certificate and in a record.
pub const ACTOR_BYTES_MAX: usize = 48;

/// Longest class of an indicator.
pub const CLASS_BYTES_MAX: usize = 24;

/// Longest reference of a police receipt, and longest reason that somebody writes down.
pub const REFERENCE_BYTES_MAX: usize = 200;

/// Longest journal record. A record is one fixed head, one fixed payload and a few texts.
pub const RECORD_BYTES_MAX: usize = 2_048;

const _: () = assert!(REQUEST_FRAME_BYTES_MAX <= DATAGRAM_BYTES_MAX, "a request fits one packet");
const _: () = assert!(ANSWER_FRAME_BYTES_MAX * 8 <= DATAGRAM_BYTES_MAX, "eight answers share one packet");
const _: () = assert!(ANSWER_FRAME_BYTES_MAX <= EXCHANGE_ANSWER_FRAME_BYTES_MAX);
const _: () = assert!(
    EXCHANGE_ANSWER_FRAME_BYTES_MAX <= REQUEST_FRAME_BYTES_MAX && REFERENCE_BYTES_MAX <= TEXT_BYTES_MAX
);
const _: () = assert!(TEXT_BYTES_MAX < u8::MAX as usize, "a text's length is one byte");
const _: () = assert!(PAYMENT_ID_BYTES_MAX <= TEXT_BYTES_MAX && ACTOR_BYTES_MAX <= TEXT_BYTES_MAX);
const _: () = assert!(REQUEST_FRAME_BYTES_MAX <= u16::MAX as usize, "a frame's length is two bytes");
