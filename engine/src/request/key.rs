//! Keys: personal and local values become pseudonyms here, by one function, and nowhere else.
//!
//! A plain hash of a personnummer is no protection: about 93 million exist, so it falls in seconds. The digest is
//! keyed BLAKE3 under a network key that only engines hold. Said plainly: an engine that holds the key can test any
//! number it likes; the protection is against everybody else.

use sparr_protocol::ids::Pseudonym;
use std::fmt;
use zeroize::Zeroizing;

/// What kind of value a pseudonym stands for: the same text of another kind is another pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A person or organisation, in canonical form.
    Subject,
    /// The member's own card token.
    CardToken,
    /// A payment account reference.
    Par,
    /// A client's keyed digest of a card number.
    PanDigest,
    /// An account with its scheme.
    Account,
    /// The member's own device id.
    Device,
    /// An e-mail address in lower case.
    Email,
    /// A phone number in E.164.
    Phone,
    /// An IP address: 16 bytes, IPv4 mapped.
    Ip,
    /// The member's own merchant id.
    MerchantId,
    /// A merchant's organisationsnummer, in canonical form.
    MerchantOrg,
    /// A terminal id.
    Terminal,
    /// A domain in lower case.
    Domain,
    /// A network in CIDR notation.
    Network,
    /// The member's own id of a payment.
    Payment,
}

impl ValueKind {
    /// The label under which the kind is hashed. It is part of every stored pseudonym, so it is forever.
    const fn label(self) -> &'static [u8; 4] {
        match self {
            Self::Subject => b"subj",
            Self::CardToken => b"card",
            Self::Par => b"par ",
            Self::PanDigest => b"pand",
            Self::Account => b"acct",
            Self::Device => b"devi",
            Self::Email => b"mail",
            Self::Phone => b"phon",
            Self::Ip => b"ip  ",
            Self::MerchantId => b"merc",
            Self::MerchantOrg => b"morg",
            Self::Terminal => b"term",
            Self::Domain => b"doma",
            Self::Network => b"netw",
            Self::Payment => b"paym",
        }
    }
}

/// Number of a network key. It stands in every record that names a subject.
pub type KeyId = u16;

/// A network key: 32 random bytes and their number. Wiped when dropped, never printed.
pub struct NetworkKey {
    id: KeyId,
    bytes: Zeroizing<[u8; 32]>,
}

impl NetworkKey {
    /// Takes over a key.
    pub fn new(id: KeyId, bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { id, bytes }
    }

    /// The key's number.
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn content_digest(&self, content: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.bytes);
        hasher.update(b"sparr content v1");
        hasher.update(content);
        *hasher.finalize().as_bytes()
    }

    fn seal(&self, message: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.bytes);
        hasher.update(b"sparr message v1");
        hasher.update(message);
        let mut seal = [0; 16];
        hasher.finalize_xof().fill(&mut seal);
        seal
    }

    fn pseudonym(&self, kind: ValueKind, canonical: &[u8]) -> Pseudonym {
        let mut hasher = blake3::Hasher::new_keyed(&self.bytes);
        hasher.update(kind.label());
        hasher.update(canonical);
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Pseudonym(digest)
    }
}

impl fmt::Debug for NetworkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkKey({})", self.id)
    }
}

/// The live network keys: the current one, and during a rotation the one before it.
///
/// Nobody keeps the numbers, so a rotation cannot re-hash them: look-ups try both keys until the old one's last
/// flag has gone.
#[derive(Debug)]
pub struct Keyring {
    current: NetworkKey,
    previous: Option<NetworkKey>,
}

impl Keyring {
    /// A keyring of one key, or of two during a rotation.
    pub fn new(current: NetworkKey, previous: Option<NetworkKey>) -> Self {
        Self { current, previous }
    }

    /// The pseudonym under which a value is stored from now on.
    pub fn current(&self, kind: ValueKind, canonical: &[u8]) -> Pseudonym {
        self.current.pseudonym(kind, canonical)
    }

    /// Whether there is another key beside the current one.
    pub fn is_rotating(&self) -> bool {
        self.previous.is_some()
    }

    /// The number of the current key.
    pub fn current_id(&self) -> KeyId {
        self.current.id
    }

    /// Keyed digest of an indicator's content, under the live key of this number.
    pub fn content_digest(&self, key_id: KeyId, content: &[u8]) -> Option<[u8; 32]> {
        let keys = std::iter::once(&self.current).chain(&self.previous);
        keys.into_iter().find(|key| key.id == key_id).map(|key| key.content_digest(content))
    }

    /// Seal of a message between engines: only who has the network key can make it.
    pub fn seal(&self, message: &[u8]) -> [u8; 16] {
        self.current.seal(message)
    }

    /// Whether a message was sealed under a live key.
    pub fn is_sealed(&self, message: &[u8], seal: &[u8; 16]) -> bool {
        let keys = std::iter::once(&self.current).chain(&self.previous);
        // blake3's own comparison takes the same time wherever the first difference is.
        let padded = |seal: [u8; 16]| blake3::Hash::from_bytes(std::array::from_fn(|at| seal[at % 16]));
        keys.into_iter().any(|key| padded(key.seal(message)) == padded(*seal))
    }

    /// What tells these keys from others, and nothing about them.
    pub fn fingerprints(&self) -> Vec<[u8; 16]> {
        let keys = std::iter::once(&self.current).chain(&self.previous);
        let fingerprint = |key: &NetworkKey| {
            let digest = self.content_digest(key.id, b"which key is this").unwrap_or_default();
            std::array::from_fn(|at| digest[at])
        };
        keys.map(fingerprint).collect()
    }

    /// The pseudonyms under which a value may be stored: current first.
    pub fn live(&self, kind: ValueKind, canonical: &[u8]) -> LivePseudonyms {
        let previous = self.previous.as_ref().map(|key| (key.id, key.pseudonym(kind, canonical)));
        LivePseudonyms { current: (self.current.id, self.current(kind, canonical)), previous }
    }
}

/// One value under each live key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivePseudonyms {
    /// Under the current key.
    pub current: (KeyId, Pseudonym),
    /// Under the key before it, during a rotation.
    pub previous: Option<(KeyId, Pseudonym)>,
}

impl LivePseudonyms {
    /// Current first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyId, Pseudonym)> {
        std::iter::once(self.current).chain(self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: KeyId) -> NetworkKey {
        NetworkKey::new(id, Zeroizing::new([id as u8; 32]))
    }

    #[test]
    fn a_pseudonym_depends_on_key_kind_and_value_and_on_nothing_else() {
        let ring = Keyring::new(key(2), Some(key(1)));
        let live = ring.live(ValueKind::Subject, b"p:191212121212");
        assert_eq!(live.current, (2, ring.current(ValueKind::Subject, b"p:191212121212")));
        assert_eq!(live.previous.map(|(id, _)| id), Some(1));
        assert_ne!(live.current.1, live.previous.expect("two keys").1);
        assert_ne!(live.current.1, ring.current(ValueKind::Email, b"p:191212121212"));
        assert_ne!(live.current.1, ring.current(ValueKind::Subject, b"p:191212121213"));
        let alone = Keyring::new(key(2), None).live(ValueKind::Subject, b"p:191212121212");
        assert_eq!((alone.current, alone.previous), (live.current, None));
    }
}
