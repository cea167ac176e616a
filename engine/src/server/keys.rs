//! Keys on disk: the network key that makes pseudonyms, the key that signs commits. Files, never arguments.

use crate::request::{KeyId, Keyring, NetworkKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}: {error}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than the owner may read it.
    #[error("{}: mode {mode:03o} lets others read a key; make it 0400", file.display())]
    Readable {
        /// Which file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no key.
    #[error("{}: {problem}", file.display())]
    NoKey {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// There is no network key, or there are more than two.
    #[error("{}: {found} network keys; one is needed, two during a rotation (network-<number>.key)", dir.display())]
    KeyCount {
        /// Which folder.
        dir: PathBuf,
        /// How many there are.
        found: usize,
    },
}

/// Reads a key file: 64 hexadecimal digits, readable by its owner alone.
pub(crate) fn read_secret(file: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let io = |error| KeyError::Io { file: file.to_owned(), error };
    let mode = fs::metadata(file).map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Readable { file: file.to_owned(), mode });
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(io)?);
    let mut secret = Zeroizing::new([0; 32]);
    let digits = text.trim().as_bytes();
    let pairs = digits.as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let problem = KeyError::NoKey { file: file.to_owned(), problem: "expected 64 hexadecimal digits" };
    if pairs.0.len() != secret.len() || !pairs.1.is_empty() {
        return Err(problem);
    }
    for (byte, [high, low]) in secret.iter_mut().zip(pairs.0) {
        let (Some(high), Some(low)) = (value(*high), value(*low)) else { return Err(problem) };
        *byte = high << 4 | low;
    }
    Ok(secret)
}

/// Makes a key file of 32 random bytes where there is none.
fn make_secret(file: &Path) -> Result<(), KeyError> {
    let io = |error| KeyError::Io { file: file.to_owned(), error };
    let mut secret = Zeroizing::new([0u8; 32]);
    aws_lc_rs::rand::fill(secret.as_mut()).map_err(|_| KeyError::NoKey {
        file: file.to_owned(),
        problem: "the machine gives no random numbers",
    })?;
    let mut digits = Zeroizing::new(String::with_capacity(65));
    for byte in secret.iter() {
        digits.push_str(&format!("{byte:02x}"));
    }
    digits.push('\n');
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o400).open(file).map_err(io)?;
    out.write_all(digits.as_bytes()).and_then(|()| out.sync_all()).map_err(io)
}

/// Reads the network keys `network-<number>.key` of a folder: the highest number is the current one. With `make`,
/// an empty folder gets its first.
pub fn network_keys(dir: &Path, make: bool) -> Result<Keyring, KeyError> {
    let io = |error| KeyError::Io { file: dir.to_owned(), error };
    fs::create_dir_all(dir).map_err(io)?;
    let mut files = network_key_files(dir).map_err(io)?;
    if files.is_empty() && make {
        make_secret(&dir.join("network-1.key"))?;
        files = network_key_files(dir).map_err(io)?;
    }
    files.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    let mut keys = files.iter().map(|(id, file)| Ok(NetworkKey::new(*id, read_secret(file)?)));
    let count = KeyError::KeyCount { dir: dir.to_owned(), found: files.len() };
    let current = keys.next().ok_or(count)??;
    let previous = keys.next().transpose()?;
    if files.len() > 2 {
        return Err(KeyError::KeyCount { dir: dir.to_owned(), found: files.len() });
    }
    Ok(Keyring::new(current, previous))
}

fn network_key_files(dir: &Path) -> io::Result<Vec<(KeyId, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("network-")?.strip_suffix(".key")?.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    Ok(files)
}

/// The key with which an engine signs its commits.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    reset_key: Zeroizing<[u8; 32]>,
    audit_key: Zeroizing<[u8; 32]>,
    siblings_key: Zeroizing<[u8; 32]>,
    decision_log_key: Zeroizing<[u8; 32]>,
}

/// Number of the first signing key of an engine.
pub const FIRST_SIGNING_KEY: u32 = 1;

impl SigningKey {
    /// Reads `signing-1.key` of a folder, or makes it where it is not there yet.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        let io = |error| KeyError::Io { file: dir.to_owned(), error };
        fs::create_dir_all(dir).map_err(io)?;
        let file = dir.join(format!("signing-{FIRST_SIGNING_KEY}.key"));
        if !file.exists() {
            make_secret(&file)?;
        }
        Self::from_file(&file)
    }

    /// Reads a key file that is there.
    pub fn from_file(file: &Path) -> Result<Self, KeyError> {
        let seed = read_secret(file)?;
        let problem = "not an Ed25519 key";
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
            .map_err(|_| KeyError::NoKey { file: file.to_owned(), problem })?;
        let reset_key = Zeroizing::new(blake3::derive_key("sparr stateless reset v1", seed.as_ref()));
        let audit_key = Zeroizing::new(blake3::derive_key("sparr audit chain v1", seed.as_ref()));
        let siblings_key = Zeroizing::new(blake3::derive_key("sparr siblings v1", seed.as_ref()));
        let decision_log_key = Zeroizing::new(blake3::derive_key("sparr decision log v1", seed.as_ref()));
        Ok(Self { pair, reset_key, audit_key, siblings_key, decision_log_key })
    }

    /// Signs bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(bytes);
        let mut fixed = [0; 64];
        fixed.copy_from_slice(signature.as_ref());
        fixed
    }

    /// The key of stateless resets. It outlives a restart, so that a client whose engine was killed hears at once that
    /// its connection is gone, instead of finding out by ten seconds of silence.
    pub fn reset_key(&self) -> &[u8; 32] {
        &self.reset_key
    }

    /// The key of the audit's chain: who has the file and not the key cannot write it anew.
    pub fn audit_key(&self) -> &[u8; 32] {
        &self.audit_key
    }

    /// The key under which engines of one member speak with each other: they share the signing key, and nobody else has it.
    pub fn siblings_key(&self) -> &[u8; 32] {
        &self.siblings_key
    }

    /// The key under which segments of the decision log are sealed.
    pub fn decision_log_key(&self) -> &[u8; 32] {
        &self.decision_log_key
    }

    /// The public half as members are known by it.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        let public = self.public();
        let len = public.len().min(key.len());
        key[..len].copy_from_slice(&public[..len]);
        key
    }

    /// The public half, with which others verify.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// Whether a signature over bytes is by the holder of this public key.
pub fn verify(public: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public);
    key.verify(bytes, signature).is_ok()
}

/// Random bytes from the machine, for ids that must be unique.
pub fn random_id() -> [u8; 16] {
    let mut id = [0; 16];
    // aws-lc aborts the process rather than give weak numbers, so this error is not seen in practice.
    let _ = aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ValueKind;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_made_once_read_again_and_refused_where_others_can_read_them() {
        let dir = tempfile::tempdir().expect("folder");
        let made = network_keys(dir.path(), true).expect("made");
        let read = network_keys(dir.path(), false).expect("read");
        assert_eq!(made.live(ValueKind::Subject, b"x"), read.live(ValueKind::Subject, b"x"));
        let file = dir.path().join("network-1.key");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o400);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("allowed");
        assert!(matches!(network_keys(dir.path(), false), Err(KeyError::Readable { mode: 0o440, .. })));

        let empty = tempfile::tempdir().expect("folder");
        assert!(matches!(network_keys(empty.path(), false), Err(KeyError::KeyCount { found: 0, .. })));
        for (number, content) in [(1, "zz"), (2, &"0".repeat(63)), (3, &"0".repeat(66)), (4, "é")] {
            let file = empty.path().join(format!("network-{number}.key"));
            fs::write(&file, content).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("allowed");
            assert!(matches!(read_secret(&file), Err(KeyError::NoKey { .. })), "{content:?}");
        }
    }

    #[test]
    fn a_signing_key_signs_alike_after_a_restart() {
        let dir = tempfile::tempdir().expect("folder");
        let (first, again) =
            (SigningKey::load(dir.path()).expect("made"), SigningKey::load(dir.path()).expect("read"));
        assert_eq!(first.sign(b"head"), again.sign(b"head"));
        let public =
            aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, first.public());
        assert!(public.verify(b"head", &again.sign(b"head")).is_ok());
        assert!(public.verify(b"tail", &again.sign(b"head")).is_err());
    }
}
