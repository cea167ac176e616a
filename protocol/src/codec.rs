//! The one file that knows how fixed structures become bytes: rkyv, without pointers, little-endian, unaligned.
//!
//! A structure here is flat: integers and byte arrays only. Such an archive has no relative pointers, so checked
//! access is a length check, and none of the 2026 advisories on pointer validation can reach it. Texts follow the
//! structure, each with its length in one byte.

use crate::limits::TEXT_BYTES_MAX;
use rkyv::api::low::LowValidator;
use rkyv::api::serialize_using;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Failure, Strategy};
use rkyv::{Archive, Portable, SerializeUnsized};

/// Declares a fixed structure and lists where each field lies, so that `WIRE.md` can be compared with the code.
macro_rules! wire_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident / $archived:ident { $( $fvis:vis $field:ident: $ty:ty, )+ }) => {
        $(#[$meta])*
        #[derive(rkyv::Archive, rkyv::Serialize)]
        $vis struct $name { $( $fvis $field: $ty, )+ }

        impl $name {
            /// Name, offset and bytes of each field.
            #[cfg(test)]
            pub(crate) const LAYOUT: &'static [(&'static str, usize, usize)] = &[
                $((stringify!($field), core::mem::offset_of!($archived, $field), size_of::<<$ty as rkyv::Archive>::Archived>()),)+
            ];
        }
    };
}
pub(crate) use wire_struct;

/// A message or record is shorter than its fixed structure, or a text runs past its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs {needed} bytes, has {available}")]
pub struct Truncated {
    /// How many bytes it needs.
    pub needed: usize,
    /// How many bytes are left.
    pub available: usize,
}

/// Bytes that a fixed structure takes.
pub(crate) const fn size<T: Archive>() -> usize {
    size_of::<T::Archived>()
}

/// Appends a fixed structure.
pub(crate) fn write<T: SerializeUnsized<Strategy<Vec<u8>, Failure>>>(value: &T, out: &mut Vec<u8>) {
    // Writing integers into memory cannot fail; rkyv has no infallible form of this call.
    let written = serialize_using::<Vec<u8>, Failure>(value, out);
    debug_assert!(written.is_ok());
}

/// Views a fixed structure at the front of `bytes` and gives back what follows it.
pub(crate) fn read<T>(bytes: &[u8]) -> Result<(&T::Archived, &[u8]), Truncated>
where
    T: Archive,
    T::Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Failure>>,
{
    let truncated = Truncated { needed: size::<T>(), available: bytes.len() };
    let (fixed, rest) = bytes.split_at_checked(size::<T>()).ok_or(truncated)?;
    let archived = rkyv::api::low::access::<T::Archived, Failure>(fixed).map_err(|Failure| truncated)?;
    Ok((archived, rest))
}

/// Appends a text: its length in one byte, then its bytes. The caller has checked the length.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    debug_assert!(text.len() <= TEXT_BYTES_MAX);
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Takes a text off the front of `bytes` and gives back what follows it.
pub(crate) fn read_text(bytes: &[u8]) -> Result<(&str, &[u8]), TextError> {
    let (&len, rest) = bytes.split_first().ok_or(Truncated { needed: 1, available: 0 })?;
    let truncated = Truncated { needed: len.into(), available: rest.len() };
    let (text, rest) = rest.split_at_checked(len.into()).ok_or(truncated)?;
    let text = str::from_utf8(text).map_err(|_| TextError::Utf8)?;
    let printable = text.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    match text.len() {
        0 => Err(TextError::Empty),
        len if len > TEXT_BYTES_MAX => Err(TextError::TooLong),
        _ if !printable => Err(TextError::ControlCharacter),
        _ => Ok((text, rest)),
    }
}

/// Why a text cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextError {
    #[error(transparent)]
    Truncated(#[from] Truncated),
    #[error("not UTF-8")]
    Utf8,
    #[error("present but empty")]
    Empty,
    #[error("too long")]
    TooLong,
    #[error("has a control character")]
    ControlCharacter,
}
