//! Sets of address prefixes, IPv4 and IPv6.

use core::net::IpAddr;
use prefix_trie::PrefixMap;
use sparr_protocol::time::Timestamp;

/// A prefix: address bits and how many of them count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    V4(u32, u8),
    V6(u128, u8),
}

/// Why a text is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrefixError {
    #[error("this is no address and no prefix such as 192.0.2.0/24 or 2001:db8::/32")]
    Form,
    #[error("the address has bits behind the prefix: the prefix is {0}")]
    HostBits(String),
    #[error("an IPv4 prefix is written as IPv4, without ::ffff:")]
    Mapped,
}

/// Reads an address, or a prefix in CIDR form.
pub(super) fn parse(text: &str) -> Result<Prefix, PrefixError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().map_err(|_| PrefixError::Form)?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| PrefixError::Form)?;
    match address {
        IpAddr::V4(v4) => {
            let length = length.unwrap_or(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(u8::min(length, 32))).unwrap_or(0);
            let bits = v4.to_bits();
            match length {
                33.. => Err(PrefixError::Form),
                _ if bits & !mask != 0 => {
                    let network = core::net::Ipv4Addr::from_bits(bits & mask);
                    Err(PrefixError::HostBits(format!("{network}/{length}")))
                }
                _ => Ok(Prefix::V4(bits, length)),
            }
        }
        IpAddr::V6(v6) => {
            let length = length.unwrap_or(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(u8::min(length, 128))).unwrap_or(0);
            let bits = v6.to_bits();
            match length {
                129.. => Err(PrefixError::Form),
                // Requests carry IPv4 as IPv4, so a mapped prefix would never match.
                _ if v6.to_ipv4_mapped().is_some() => Err(PrefixError::Mapped),
                _ if bits & !mask != 0 => {
                    let network = core::net::Ipv6Addr::from_bits(bits & mask);
                    Err(PrefixError::HostBits(format!("{network}/{length}")))
                }
                _ => Ok(Prefix::V6(bits, length)),
            }
        }
    }
}

/// Prefixes, each with the time from which on it no longer counts.
#[derive(Default)]
pub(super) struct Prefixes {
    v4: PrefixMap<(u32, u8), Timestamp>,
    v6: PrefixMap<(u128, u8), Timestamp>,
}

impl Prefixes {
    /// Adds a prefix; one that is there already counts for as long as the longer-lived of the two.
    pub(super) fn insert(&mut self, prefix: Prefix, until: Timestamp) {
        let known = match prefix {
            Prefix::V4(bits, length) => self.v4.get(&(bits, length)),
            Prefix::V6(bits, length) => self.v6.get(&(bits, length)),
        };
        let until = known.map_or(until, |known| until.max(*known));
        match prefix {
            Prefix::V4(bits, length) => self.v4.insert((bits, length), until),
            Prefix::V6(bits, length) => self.v6.insert((bits, length), until),
        };
    }

    /// Whether any prefix that still counts covers an address. Not only the longest one is asked: it may have
    /// expired inside a shorter one that has not.
    pub(super) fn cover(&self, address: IpAddr, now: Timestamp) -> bool {
        let counts = |until: &Timestamp| now < *until;
        match address {
            IpAddr::V4(v4) => self.v4.cover_values(&(v4.to_bits(), 32)).any(counts),
            IpAddr::V6(v6) => self.v6.cover_values(&(v6.to_bits(), 128)).any(counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_no_bits_behind_them() {
        for (text, expected) in [
            ("192.0.2.0/24", Ok(Prefix::V4(0xC000_0200, 24))),
            ("192.0.2.7", Ok(Prefix::V4(0xC000_0207, 32))),
            ("0.0.0.0/0", Ok(Prefix::V4(0, 0))),
            ("2001:db8::/32", Ok(Prefix::V6(0x2001_0db8 << 96, 32))),
            ("::/0", Ok(Prefix::V6(0, 0))),
            ("192.0.2.7/24", Err(PrefixError::HostBits("192.0.2.0/24".into()))),
            ("2001:db8::1/32", Err(PrefixError::HostBits("2001:db8::/32".into()))),
            ("::ffff:192.0.2.7", Err(PrefixError::Mapped)),
            ("192.0.2.0/33", Err(PrefixError::Form)),
            ("::/129", Err(PrefixError::Form)),
            ("192.0.2.0/", Err(PrefixError::Form)),
            ("192.0.2", Err(PrefixError::Form)),
            ("example.com", Err(PrefixError::Form)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn sets_of_no_one_and_two_prefixes() {
        let at = Timestamp::from_ms;
        let covers = |set: &Prefixes, ip: &str, now: i64| set.cover(ip.parse().expect("address"), at(now));
        let mut set = Prefixes::default();
        assert!(!covers(&set, "192.0.2.1", 0) && !covers(&set, "2001:db8::1", 0));
        set.insert(parse("192.0.2.0/24").expect("prefix"), at(10));
        assert!(covers(&set, "192.0.2.255", 9) && !covers(&set, "192.0.2.255", 10));
        assert!(!covers(&set, "192.0.3.0", 9) && !covers(&set, "::ffff:192.0.2.1", 9));
        // A longer prefix that expires earlier hides nothing of the shorter one.
        set.insert(parse("192.0.2.128/25").expect("prefix"), at(5));
        assert!(covers(&set, "192.0.2.200", 4) && covers(&set, "192.0.2.200", 7));
        set.insert(parse("192.0.2.0/24").expect("prefix"), at(3));
        assert!(covers(&set, "192.0.2.1", 9), "the longer-lived of two lines counts");
        set.insert(parse("2001:db8::/32").expect("prefix"), at(10));
        assert!(covers(&set, "2001:db8:1::1", 9) && !covers(&set, "2001:db9::1", 9));
    }
}
