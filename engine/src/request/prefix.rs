//! Networks: an address and how many of its bits count, in one spelling.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Shortest prefixes that an indicator may have. A shorter one would hit whole countries by a slip of the finger.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 19;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Prefix {
    /// IPv4: network address and length.
    V4(u32, u8),
    /// IPv6: network address and length.
    V6(u128, u8),
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not of the form.
    #[error("expected a network such as 192.0.2.0/24 or 2001:db8::/32")]
    Form,
    /// Bits are set behind the prefix: it is not clear what was meant.
    #[error("the address has bits behind the prefix")]
    HostBits,
    /// It covers too much.
    #[error("the network is larger than an indicator may be (at most a /8, or a /19 of IPv6)")]
    TooLarge,
}

impl Prefix {
    /// Reads CIDR notation.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = text.split_once('/').ok_or(PrefixError::Form)?;
        let digits = (1..=3).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: u8 = length.parse().ok().filter(|_| digits).ok_or(PrefixError::Form)?;
        match address.parse().map_err(|_| PrefixError::Form)? {
            IpAddr::V4(_) if length > 32 => Err(PrefixError::Form),
            IpAddr::V4(_) if length < SHORTEST_V4 => Err(PrefixError::TooLarge),
            IpAddr::V4(v4) => {
                let prefix = Self::V4(v4.to_bits() & mask_v4(length), length);
                if prefix == Self::V4(v4.to_bits(), length) { Ok(prefix) } else { Err(PrefixError::HostBits) }
            }
            // Requests carry IPv4 as IPv4, so a mapped network would never match.
            IpAddr::V6(v6) if length > 128 || v6.to_ipv4_mapped().is_some() => Err(PrefixError::Form),
            IpAddr::V6(_) if length < SHORTEST_V6 => Err(PrefixError::TooLarge),
            IpAddr::V6(v6) => {
                let prefix = Self::V6(v6.to_bits() & mask_v6(length), length);
                if prefix == Self::V6(v6.to_bits(), length) { Ok(prefix) } else { Err(PrefixError::HostBits) }
            }
        }
    }

    /// Whether an address lies in it.
    pub fn covers(&self, address: IpAddr) -> bool {
        match (*self, address) {
            (Self::V4(network, length), IpAddr::V4(address)) => {
                address.to_bits() & mask_v4(length) == network
            }
            (Self::V6(network, length), IpAddr::V6(address)) => {
                address.to_bits() & mask_v6(length) == network
            }
            (Self::V4(..), IpAddr::V6(_)) | (Self::V6(..), IpAddr::V4(_)) => false,
        }
    }

    /// The one address that it covers, if it covers one.
    pub fn single(&self) -> Option<IpAddr> {
        match *self {
            Self::V4(bits, 32) => Some(IpAddr::V4(Ipv4Addr::from_bits(bits))),
            Self::V6(bits, 128) => Some(IpAddr::V6(Ipv6Addr::from_bits(bits))),
            Self::V4(..) | Self::V6(..) => None,
        }
    }
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(bits, length) => write!(f, "{}/{length}", Ipv4Addr::from_bits(bits)),
            Self::V6(bits, length) => write!(f, "{}/{length}", Ipv6Addr::from_bits(bits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_spelling() {
        for (text, expected) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("10.0.0.0/8", Ok("10.0.0.0/8")),
            ("2001:DB8:0::/32", Ok("2001:db8::/32")),
            ("192.0.2.1/24", Err(PrefixError::HostBits)),
            ("0.0.0.0/0", Err(PrefixError::TooLarge)),
            ("192.0.2.0/+24", Err(PrefixError::Form)),
            ("192.0.2.0/33", Err(PrefixError::Form)),
            ("192.0.2.0", Err(PrefixError::Form)),
            ("::ffff:192.0.2.0/120", Err(PrefixError::Form)),
            ("::/0", Err(PrefixError::TooLarge)),
            ("", Err(PrefixError::Form)),
        ] {
            assert_eq!(Prefix::parse(text).map(|one| one.to_string()), expected.map(str::to_owned), "{text}");
        }
    }
}
