//! An authorisation request: as a client fills it in, and as it travels.
//!
//! [`AuthorisationRequest`] owns its values and is what clients, JSON and column maps fill in.
//! [`RequestView`](crate::view::RequestView) is what an engine reads, in place.

use crate::card::CardBin;
use crate::codec;
use crate::codes::{Kind, Stage};
use crate::field::{Field, with_request_fields};
use crate::frame::{self, MessageKind, TooLarge};
use crate::ids::RequestId;
use crate::limits::{FRAME_HEADER_BYTES, TEXT_BYTES_MAX};
use crate::money::Currency;
use crate::personal::Personal;
use crate::place::{Country, Mcc};
use crate::time::Timestamp;
use core::net::IpAddr;

/// Network-keyed digest of a card number, made by the client inside its own card zone: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PanDigest(pub [u8; 16]);

/// Electronic commerce indicator: 0–99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Eci(u8);

impl Eci {
    /// A two-digit indicator.
    pub const fn from_wire(number: u8) -> Option<Self> {
        if number <= 99 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn wire(self) -> u8 {
        self.0
    }
}

codec::wire_struct! {
    /// The fixed part of a request on the wire, in byte order. `WIRE.md` lists the offsets; a test compares.
    #[derive(Default)]
    pub(crate) struct RequestHead / ArchivedRequestHead {
        pub(crate) request_id: [u8; 16],
        pub(crate) presence: u64,
        pub(crate) event_time: i64,
        pub(crate) amount_minor: i64,
        pub(crate) auth_time: i64,
        pub(crate) auth_of_request_id: [u8; 16],
        pub(crate) pan_digest: [u8; 16],
        pub(crate) ip: [u8; 16],
        pub(crate) deadline_us: u32,
        pub(crate) max_staleness_ms: u32,
        pub(crate) customer_since_days: u32,
        pub(crate) credential_age_days: u32,
        pub(crate) device_age_days: u32,
        pub(crate) payee_first_used_days: u32,
        pub(crate) card_bin: u32,
        pub(crate) currency: u16,
        pub(crate) mcc: u16,
        pub(crate) merchant_country: u16,
        pub(crate) subject_country: u16,
        pub(crate) issuer_country: u16,
        pub(crate) billing_country: u16,
        pub(crate) shipping_country: u16,
        pub(crate) kind: u8,
        pub(crate) stage: u8,
        pub(crate) channel: u8,
        pub(crate) entry_mode: u8,
        pub(crate) initiation: u8,
        pub(crate) subject_kind: u8,
        pub(crate) payee_name_match: u8,
        pub(crate) card_token_kind: u8,
        pub(crate) funding: u8,
        pub(crate) wallet: u8,
        pub(crate) avs: u8,
        pub(crate) cvv: u8,
        pub(crate) challenge_possible: u8,
        pub(crate) auth_method: u8,
        pub(crate) auth_result: u8,
        pub(crate) auth_trans_status: u8,
        pub(crate) auth_eci: u8,
        pub(crate) auth_sca_exemption: u8,
        pub(crate) remote_access: u8,
        pub(crate) delivery_type: u8,
        pub(crate) reserved: [u8; 10],
    }
}

/// Bytes of a request's fixed part.
pub const REQUEST_HEAD_BYTES: usize = codec::size::<RequestHead>();
const _: () = assert!(REQUEST_HEAD_BYTES == 168);

/// A value of fixed size: how it lies in the head, and how it is written as text.
pub(crate) trait Scalar: Copy {
    /// What lies in the head.
    type Wire: Copy + Default + PartialEq;
    /// To the head.
    fn to_wire(self) -> Self::Wire;
    /// From the head; `None` where the number is none that this version knows.
    fn from_wire(wire: Self::Wire) -> Option<Self>;
}

/// Implements [`Scalar`] by inherent `from_wire` and `wire`.
macro_rules! scalars {
    ($($ty:ty => $wire:ty),+ $(,)?) => {$(
        impl Scalar for $ty {
            type Wire = $wire;
            fn to_wire(self) -> $wire { self.wire() }
            fn from_wire(wire: $wire) -> Option<Self> { <$ty>::from_wire(wire) }
        }
    )+};
}
scalars! {
    crate::codes::Channel => u8, crate::codes::EntryMode => u8, crate::codes::Initiation => u8,
    crate::codes::SubjectKind => u8, crate::codes::NameMatch => u8, crate::codes::CardTokenKind => u8,
    crate::codes::Funding => u8, crate::codes::Wallet => u8, crate::codes::Avs => u8, crate::codes::Cvv => u8,
    crate::codes::AuthMethod => u8, crate::codes::AuthResult => u8, crate::codes::TransStatus => u8,
    crate::codes::ScaExemption => u8, crate::codes::RemoteAccess => u8, crate::codes::DeliveryType => u8,
    Eci => u8, Currency => u16, Mcc => u16, Country => u16,
}

/// Implements [`Scalar`] by two expressions.
macro_rules! scalar {
    ($ty:ty, $wire:ty, $to:expr, $from:expr) => {
        impl Scalar for $ty {
            type Wire = $wire;
            fn to_wire(self) -> $wire {
                $to(self)
            }
            fn from_wire(wire: $wire) -> Option<Self> {
                $from(wire)
            }
        }
    };
}
/// A BIN is its value and its number of digits in one integer: digits × 10⁸ + value.
const CARD_BIN_DIGITS_UNIT: u32 = 100_000_000;
scalar!(i64, i64, |value| value, Some);
scalar!(u32, u32, |value| value, Some);
scalar!(Timestamp, i64, Timestamp::ms, |ms| Some(Timestamp::from_ms(ms)));
scalar!(RequestId, [u8; 16], |id: Self| id.0, |bytes| Some(Self(bytes)));
scalar!(PanDigest, [u8; 16], |digest: Self| digest.0, |bytes| Some(Self(bytes)));
scalar!(bool, u8, |value| 1 + u8::from(value), |wire| match wire {
    1 => Some(false),
    2 => Some(true),
    _ => None,
});
scalar!(
    CardBin,
    u32,
    |bin: Self| u32::from(bin.digits()) * CARD_BIN_DIGITS_UNIT + bin.value(),
    |wire: u32| Self::from_wire(wire % CARD_BIN_DIGITS_UNIT, (wire / CARD_BIN_DIGITS_UNIT) as u8)
);
scalar!(
    IpAddr,
    [u8; 16],
    |ip: Self| match ip {
        Self::V4(v4) => v4.to_ipv6_mapped().octets(),
        Self::V6(v6) => v6.octets(),
    },
    |octets: [u8; 16]| Some(Self::from(octets).to_canonical())
);

/// A text field's owner: plain, or personal.
pub(crate) trait Text: From<String> {
    /// The text.
    fn text(&self) -> &str;
}

impl Text for String {
    fn text(&self) -> &str {
        self
    }
}

impl Text for Personal {
    fn text(&self) -> &str {
        self.expose()
    }
}

/// Why a request cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text is longer than any text may be.
    #[error("{}: {bytes} bytes; the longest text is {TEXT_BYTES_MAX}", field.name())]
    TextTooLong {
        /// Which text.
        field: Field,
        /// Its length.
        bytes: usize,
    },
    /// All texts together are too long.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

macro_rules! owned_request {
    (
        scalars { $( $(#[$sdoc:meta])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[$tdoc:meta])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        /// One authorisation request, as a client fills it in. What is `None` is absent.
        #[derive(Clone, PartialEq)]
        pub struct AuthorisationRequest {
            /// Idempotency key: unique per member; a retry repeats it.
            pub request_id: RequestId,
            /// What the payment or event is.
            pub kind: Kind,
            /// Where in the payment's life the question is asked.
            pub stage: Stage,
            /// When it happened; `None` where the engine's clock at receipt shall say, so that a retry is the same
            /// request.
            pub event_time: Option<Timestamp>,
            /// Microseconds left to answer, counted from sending; 0 for none.
            pub deadline_us: u32,
            /// Oldest exchange state that is accepted, ms; 0 for the member's default.
            pub max_staleness_ms: u32,
            $( $(#[$tdoc])* pub $t: Option<$tt>, )*
            $( $(#[$sdoc])* pub $s: Option<$st>, )*
        }

        impl AuthorisationRequest {
            /// A request in which everything optional is absent, at the stage of authorisation.
            pub fn new(request_id: RequestId, kind: Kind, event_time: Timestamp) -> Self {
                Self {
                    request_id,
                    kind,
                    stage: Stage::Authorisation,
                    event_time: Some(event_time),
                    deadline_us: 0,
                    max_staleness_ms: 0,
                    $($t: None,)*
                    $($s: None,)*
                }
            }

            fn head(&self) -> RequestHead {
                let mut head = RequestHead {
                    request_id: self.request_id.0,
                    event_time: self.event_time.map_or(0, Timestamp::ms),
                    deadline_us: self.deadline_us,
                    max_staleness_ms: self.max_staleness_ms,
                    kind: self.kind.wire(),
                    stage: self.stage.wire(),
                    ..RequestHead::default()
                };
                $(if let Some(value) = self.$s {
                    head.$s = Scalar::to_wire(value);
                    head.presence |= Field::$sv.presence();
                })*
                $(if self.$t.is_some() {
                    head.presence |= Field::$tv.presence();
                })*
                head
            }

            /// The texts that are present, in the order in which they travel.
            fn texts(&self) -> impl Iterator<Item = (Field, &str)> {
                [$((Field::$tv, self.$t.as_ref().map(Text::text))),*]
                    .into_iter()
                    .filter_map(|(field, text)| Some((field, text?)))
            }
        }
    };
}
with_request_fields!(owned_request);

impl AuthorisationRequest {
    /// Appends the request as one frame; on error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some((field, text)) = self.texts().find(|(_, text)| text.len() > TEXT_BYTES_MAX) {
            return Err(EncodeError::TextTooLong { field, bytes: text.len() });
        }
        frame::append(MessageKind::Screen, out, |out| {
            codec::write(&self.head(), out);
            self.texts().for_each(|(_, text)| codec::write_text(text, out));
        })?;
        Ok(())
    }
}

/// Gives a framed request another id and another time (`None`: the engine's clock at receipt), and seals it anew: what
/// a sender of prepared requests does instead of encoding each one.
///
/// # Panics
///
/// Where `frame` is not a whole frame with a request in it.
pub fn restamp(frame: &mut [u8], id: RequestId, event_time: Option<Timestamp>) {
    const ID: usize = FRAME_HEADER_BYTES + core::mem::offset_of!(ArchivedRequestHead, request_id);
    const TIME: usize = FRAME_HEADER_BYTES + core::mem::offset_of!(ArchivedRequestHead, event_time);
    frame[ID..][..16].copy_from_slice(&id.0);
    frame[TIME..][..8].copy_from_slice(&event_time.map_or(0, Timestamp::ms).to_le_bytes());
    frame::seal(frame);
}

impl std::fmt::Debug for AuthorisationRequest {
    /// Id and kind alone: the rest is about a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthorisationRequest({} {})", self.request_id, self.kind.name())
    }
}
