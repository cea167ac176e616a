//! Values as bytes of this engine's own: for snapshots, which nobody else reads.
//!
//! What crosses the wire or enters the journal has its layout in `sparr-protocol`; here a value is simply its parts, one
//! after the other. Reading checks every value, because a file may be damaged: what is not legal is `None`.

use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, Wish};
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, RuleNames};
use sparr_protocol::flag::{MerchantRef, Methods, Scope, Terms};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::indicator::{Attestation, Content, ContentDigest, Grade, IndicatorId, IndicatorRole};
use sparr_protocol::member::MemberKind;
use sparr_protocol::money::Currency;
use sparr_protocol::record::{Origin, RecordRef};
use sparr_protocol::time::Timestamp;

/// A value that can be written as bytes and read back.
pub(crate) trait Pack: Sized {
    /// Appends the value.
    fn pack(&self, out: &mut Vec<u8>);
    /// Reads a value off the front, or says that there is none.
    fn unpack(from: &mut &[u8]) -> Option<Self>;
}

/// Packs a struct as its fields, in the order in which they are named. A field that is not named does not compile.
macro_rules! pack_fields {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::pack::Pack for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                let Self { $($field),+ } = self;
                $($crate::pack::Pack::pack($field, out);)+
            }
            fn unpack(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::pack::Pack::unpack(from)?;)+
                Some(Self { $($field),+ })
            }
        }
    };
}
pub(crate) use pack_fields;

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Pack for $number {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn unpack(from: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = from.split_first_chunk()?;
                *from = rest;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )+};
}
numbers!(u8, u16, u32, u64, i64);

macro_rules! codes {
    ($($code:ty),+) => {$(
        impl Pack for $code {
            fn pack(&self, out: &mut Vec<u8>) {
                self.wire().pack(out);
            }
            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Self::from_wire(Pack::unpack(from)?)
            }
        }
    )+};
}
codes!(
    AuthMethod,
    FlagReason,
    RequestedBy,
    Role,
    Wish,
    MemberKind,
    ExemptionKey,
    Currency,
    Grade,
    IndicatorRole,
    Attestation
);

macro_rules! bytes {
    ($($name:path),+) => {$(
        impl Pack for $name {
            fn pack(&self, out: &mut Vec<u8>) {
                self.0.pack(out);
            }
            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Some($name(Pack::unpack(from)?))
            }
        }
    )+};
}
bytes!(Pseudonym, RequestId, ContentDigest, IndicatorId, ExemptionId);

pack_fields!(Origin { member, engine, epoch });
pack_fields!(RecordRef { origin, sequence });
pack_fields!(Terms { wish, scope, reason, requested_by, authenticated_by, compromised, valid_until });

impl<const BYTES: usize> Pack for [u8; BYTES] {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk()?;
        *from = rest;
        Some(*bytes)
    }
}

impl Pack for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        u8::from(*self).pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        match u8::unpack(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        self.is_some().pack(out);
        if let Some(value) = self {
            value.pack(out);
        }
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::unpack(from)? { Some(T::unpack(from)?) } else { None })
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        (**self).pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        T::unpack(from).map(Self::new)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        // No list of this engine comes near.
        u32::try_from(self.len()).unwrap_or(u32::MAX).pack(out);
        self.iter().for_each(|one| one.pack(out));
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        // Room is made as values come: a number that lies asks for no memory.
        (0..u32::unpack(from)?).map(|_| T::unpack(from)).collect()
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?))
    }
}

impl Pack for String {
    fn pack(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::unpack(from)?).ok()
    }
}

impl Pack for RuleNames {
    fn pack(&self, out: &mut Vec<u8>) {
        self.iter().collect::<Vec<_>>().join(",").pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::parse(&String::unpack(from)?)
    }
}

impl Pack for Timestamp {
    fn pack(&self, out: &mut Vec<u8>) {
        self.ms().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        i64::unpack(from).map(Self::from_ms)
    }
}

impl Pack for MemberName {
    fn pack(&self, out: &mut Vec<u8>) {
        self.bytes().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::from_bytes(&Pack::unpack(from)?)
    }
}

impl Pack for Actor {
    fn pack(&self, out: &mut Vec<u8>) {
        self.member.pack(out);
        self.role.pack(out);
        self.id().to_owned().pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (member, role) = Pack::unpack(from)?;
        Self::new(member, role, &String::unpack(from)?)
    }
}

impl Pack for Methods {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::from_wire(Pack::unpack(from)?)
    }
}

impl Pack for Scope {
    fn pack(&self, out: &mut Vec<u8>) {
        let (kind, amount_minor, currency) = self.wire();
        kind.pack(out);
        amount_minor.pack(out);
        currency.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let kind = Pack::unpack(from)?;
        let (amount_minor, currency) = Pack::unpack(from)?;
        Self::from_wire(kind, amount_minor, currency)
    }
}

impl Pack for MerchantRef {
    fn pack(&self, out: &mut Vec<u8>) {
        let (is_organisation, id) = match self {
            Self::OwnId(id) => (false, id),
            Self::Organisation(id) => (true, id),
        };
        is_organisation.pack(out);
        id.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let make = if bool::unpack(from)? { Self::Organisation } else { Self::OwnId };
        Pack::unpack(from).map(make)
    }
}

/// As it is under its digest.
impl Pack for Content {
    fn pack(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let (content, rest) = Self::decode(from).ok()?;
        *from = rest;
        Some(content)
    }
}
