//! What engines tell each other: records, heartbeats, positions, and questions about what is missing.
//!
//! Every message is sealed with a digest under the network key, so that only who takes part can make one and a bit that
//! flips on the way is noticed. Records are signed by their member besides, and so are positions, because a position is a
//! receipt: a member says with it what it enforces.

use crate::pack::{Pack, pack_fields};
use sparr_protocol::ids::MemberName;
use sparr_protocol::record::{Commit, Origin, RecordDigest};

/// One engine of one member, through all its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EngineOf {
    /// The member.
    pub member: MemberName,
    /// Number of the engine within its member.
    pub engine: u16,
}

impl EngineOf {
    /// Whose life this is.
    pub fn of(origin: Origin) -> Self {
        Self { member: origin.member, engine: origin.engine }
    }

    /// One of its lives.
    pub fn in_epoch(self, epoch: u32) -> Origin {
        Origin { member: self.member, engine: self.engine, epoch }
    }
}

impl std::fmt::Display for EngineOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.member, self.engine)
    }
}

/// A place in the records of one engine: those of an earlier life come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which life.
    pub epoch: u32,
    /// Which record of it; 0 before the first.
    pub sequence: u64,
}

/// The last record of one life of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochHead {
    /// Which life.
    pub epoch: u32,
    /// Number of its last record.
    pub sequence: u64,
    /// Digest of that record.
    pub digest: RecordDigest,
    /// Its stamp.
    pub stamp: u64,
}

/// How much of one engine's records somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Whose records.
    pub of: EngineOf,
    /// The last of them.
    pub last: Place,
    /// Digest over the last record of each of its lives: equal where the same is held, and nothing more or less.
    pub digest: [u8; 16],
    /// The same over the lives before the last one alone: while a life grows, it says that nothing before is missing.
    pub earlier: [u8; 16],
}

/// Records of one life of one engine, without gaps, up to the end of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The last commit among them. Its signature covers everything before it.
    pub commit: Commit,
    /// The records, as they lie in the journal, one after the other.
    pub records: Vec<u8>,
}

/// What an engine has, enforces, and of whom it heard: a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The sender's clock, ms since 1970: when it had this.
    pub at: u64,
    /// Rises within a life of the sender: the highest is the newest, by whatever way it came.
    pub number: u64,
    /// Whether every engine of which the sender has records is named.
    pub is_whole: bool,
    /// Digest of the rule set that decides there; zeros without one.
    pub rule_set: [u8; 16],
    /// Kinds of request that it screens with a subject, a bit each: only there is a flag enforced and not just held.
    pub screens: u16,
    /// What it has of whom.
    pub has: Vec<Summary>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Records: somebody's newest, or some that were asked for.
    Records(Chunk),
    /// I am there. What I send comes back to me through the exchange, and so I know how old my state is.
    Beat {
        /// When it was sent, by a clock that only its sender reads.
        sent_ms: u64,
        /// The last record of this life of the sender; 0 before the first.
        sequence: u64,
    },
    /// What I have.
    Position {
        /// What.
        position: Position,
        /// The member's signature over it and its sender.
        signature: [u8; 64],
    },
    /// Which lives of this engine do you know, and how much of each?
    Ask(EngineOf),
    /// These.
    Told {
        /// Of whom.
        of: EngineOf,
        /// The last record of each life, in order.
        heads: Vec<EpochHead>,
    },
    /// Send me what comes after this place.
    Want {
        /// Of whom.
        of: EngineOf,
        /// After which record.
        after: Place,
    },
    /// You speak in a life that began before one of yours that I have heard: your disk or your clock was put back.
    Later {
        /// The newest life of the receiver that was heard.
        epoch: u32,
    },
}

/// A message and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who, in which life.
    pub from: Origin,
    /// What.
    pub body: Body,
}

/// Digest of a message under the network key.
pub type Seal = [u8; 16];

/// First byte of every message.
pub const MESSAGE_VERSION: u8 = 1;

/// A message is no longer than this: what a broker takes by default is 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

const RECORDS: u8 = 1;
const BEAT: u8 = 2;
const POSITION: u8 = 3;
const ASK: u8 = 4;
const TOLD: u8 = 5;
const WANT: u8 = 6;
const LATER: u8 = 7;

pack_fields!(EngineOf { member, engine });
pack_fields!(Place { epoch, sequence });
pack_fields!(EpochHead { epoch, sequence, digest, stamp });
pack_fields!(Summary { of, last, digest, earlier });
pack_fields!(Position { at, number, is_whole, rule_set, screens, has });

impl Pack for Chunk {
    fn pack(&self, out: &mut Vec<u8>) {
        self.commit.encode().pack(out);
        self.records.pack(out);
    }
    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let commit = Commit::decode(&bytes(from)?).ok()?;
        Some(Self { commit, records: bytes(from)? })
    }
}

/// A run of bytes with its length before it, taken at once.
fn bytes(from: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u32::unpack(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes.to_vec())
}

impl Position {
    /// What its member signs.
    pub fn signed_bytes(&self, from: Origin) -> Vec<u8> {
        let mut out = b"sparr position v1\0".to_vec();
        from.pack(&mut out);
        self.pack(&mut out);
        out
    }
}

impl Body {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Records(chunk) => {
                RECORDS.pack(out);
                chunk.pack(out);
            }
            Self::Beat { sent_ms, sequence } => {
                BEAT.pack(out);
                (*sent_ms, *sequence).pack(out);
            }
            Self::Position { position, signature } => {
                POSITION.pack(out);
                position.pack(out);
                signature.pack(out);
            }
            Self::Ask(of) => {
                ASK.pack(out);
                of.pack(out);
            }
            Self::Told { of, heads } => {
                TOLD.pack(out);
                of.pack(out);
                heads.pack(out);
            }
            Self::Want { of, after } => {
                WANT.pack(out);
                of.pack(out);
                after.pack(out);
            }
            Self::Later { epoch } => {
                LATER.pack(out);
                epoch.pack(out);
            }
        }
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::unpack(from)? {
            RECORDS => Self::Records(Chunk::unpack(from)?),
            BEAT => {
                let (sent_ms, sequence) = Pack::unpack(from)?;
                Self::Beat { sent_ms, sequence }
            }
            POSITION => Self::Position { position: Pack::unpack(from)?, signature: Pack::unpack(from)? },
            ASK => Self::Ask(Pack::unpack(from)?),
            TOLD => Self::Told { of: Pack::unpack(from)?, heads: Pack::unpack(from)? },
            WANT => Self::Want { of: Pack::unpack(from)?, after: Pack::unpack(from)? },
            LATER => Self::Later { epoch: Pack::unpack(from)? },
            _ => return None,
        })
    }
}

impl Message {
    /// The message as it travels: version, seal, sender, body.
    pub fn encode(&self, seal: impl FnOnce(&[u8]) -> Seal) -> Vec<u8> {
        let mut content = Vec::new();
        self.from.pack(&mut content);
        self.body.pack(&mut content);
        let mut out = Vec::with_capacity(1 + size_of::<Seal>() + content.len());
        out.push(MESSAGE_VERSION);
        out.extend_from_slice(&seal(&content));
        out.append(&mut content);
        out
    }

    /// Reads a message whose seal is right. Nothing of any other is looked at.
    pub fn decode(bytes: &[u8], is_sealed: impl FnOnce(&[u8], &Seal) -> bool) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (seal, mut content) = rest.split_first_chunk()?;
        let known =
            *version == MESSAGE_VERSION && bytes.len() <= MESSAGE_BYTES_MAX && is_sealed(content, seal);
        if !known {
            return None;
        }
        let from = Origin::unpack(&mut content)?;
        let body = Body::unpack(&mut content)?;
        content.is_empty().then_some(Self { from, body })
    }
}
