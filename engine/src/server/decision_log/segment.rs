//! Segments of the decision log: files that only grow, each a head and batches of entries.
//!
//! A batch is a plain head (a word, lengths, the times of its first and last entry) and its entries, sealed with AES-256-GCM
//! under a key of the segment's own: a changed bit is found, and nobody reads a device or an address out of the file without
//! the engine's key. A segment lasts a day at most, so its key is a daily one. Whatever lies between two batches that
//! are whole is damage; reading goes on at the next one.

use crate::pack::{Pack, pack_fields};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sparr_protocol::time::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"sparrdl1";
const BATCH: &[u8; 8] = b"sparrdlb";
/// Sealing adds so much.
const TAG_BYTES: usize = 16;
/// No batch is longer: a length that lies asks for no memory.
const BATCH_BYTES_MAX: u32 = 64 << 20;

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its number.
    pub(super) number: u64,
    /// When it was begun.
    pub(super) began: Timestamp,
    /// The life of the engine that began it.
    pub(super) epoch: u32,
    /// How many bytes the segment before it had: one that has fewer was cut.
    pub(super) before_bytes: u64,
}

/// What stands in the clear in front of each batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHead {
    length: u32,
    /// How many entries it has.
    pub(super) entries: u32,
    /// When the first of them was made.
    pub(super) first: Timestamp,
    /// When the last of them was made.
    pub(super) last: Timestamp,
}

pack_fields!(Head { number, began, epoch, before_bytes });
pack_fields!(BatchHead { length, entries, first, last });

const HEAD_BYTES: usize = MAGIC.len() + 8 + 8 + 4 + 8;
const BATCH_HEAD_BYTES: usize = BATCH.len() + 4 + 4 + 8 + 8;

/// The folder of segments under a data folder.
pub(in crate::server) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("decisions")
}

pub(super) fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.seg"))
}

/// Numbers of the segments that are there, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(".seg")).and_then(|n| n.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Seals and opens the batches of one segment.
struct Seal(LessSafeKey);

impl Seal {
    fn of(key: &[u8; 32], head: &Head) -> Self {
        let mut about = Vec::new();
        head.pack(&mut about);
        let own = blake3::keyed_hash(key, &about);
        let Ok(key) = UnboundKey::new(&AES_256_GCM, own.as_bytes()) else {
            unreachable!("the key has the length that the cipher asks for")
        };
        Self(LessSafeKey::new(key))
    }

    /// A place in a segment is written once, so it is a nonce under the segment's key.
    fn nonce(at: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&at.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// A segment that is written to.
pub(super) struct Segment {
    pub(super) head: Head,
    file: File,
    seal: Seal,
    /// How long it is.
    pub(super) bytes: u64,
    scratch: Vec<u8>,
}

impl Segment {
    /// Begins a segment. Its file must not be there.
    pub(super) fn begin(folder: &Path, key: &[u8; 32], head: Head) -> io::Result<Self> {
        let mut bytes = MAGIC.to_vec();
        head.pack(&mut bytes);
        let path = file(folder, head.number);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync_data());
        if let Err(error) = written.and_then(|()| File::open(folder)?.sync_all()) {
            // Where it stays, the next attempt takes the next number.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { seal: Seal::of(key, &head), head, file, bytes: bytes.len() as u64, scratch: Vec::new() })
    }

    /// Appends a batch; after an error the segment is to be left.
    pub(super) fn append(
        &mut self,
        parts: &[&[u8]],
        entries: u32,
        (first, last): (Timestamp, Timestamp),
    ) -> io::Result<()> {
        let too_long = || io::Error::other("a batch is too long");
        let plain: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(plain + TAG_BYTES).map_err(|_| too_long())?;
        if length > BATCH_BYTES_MAX {
            return Err(too_long());
        }
        let out = &mut self.scratch;
        out.clear();
        out.extend_from_slice(BATCH);
        BatchHead { length, entries, first, last }.pack(out);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let (head, body) = out.split_at_mut(BATCH_HEAD_BYTES);
        let tag = self.seal.0.seal_in_place_separate_tag(Seal::nonce(self.bytes), Aad::from(&*head), body);
        let tag = tag.map_err(|_| io::Error::other("a batch cannot be sealed"))?;
        out.extend_from_slice(tag.as_ref());
        self.file.write_all_at(out, self.bytes)?;
        self.bytes += out.len() as u64;
        Ok(())
    }

    /// Makes everything durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Cuts off what was half written.
    pub(super) fn abandon(&self) {
        // Where that fails too, reading finds that it is no batch.
        let _ = self.file.set_len(self.bytes);
    }
}

/// A segment that is read.
pub(super) struct Reader {
    pub(super) head: Head,
    file: File,
    seal: Seal,
    /// How long the file is.
    pub(super) bytes: u64,
    at: u64,
    body: Vec<u8>,
}

/// What lies at a place of a segment.
pub(super) enum Found<'a> {
    /// A batch that is whole: its place, its head, its entries.
    Batch(u64, BatchHead, &'a [u8]),
    /// What is here, up to the next batch, is no batch.
    Damage(u64),
    /// The rest is the beginning of a batch at best.
    Unfinished,
}

impl Reader {
    /// Opens a segment; `None` where its head is none.
    pub(super) fn open(folder: &Path, number: u64, key: &[u8; 32]) -> io::Result<Option<Self>> {
        let file = File::open(file(folder, number))?;
        let bytes = file.metadata()?.len();
        let mut start = [0; HEAD_BYTES];
        if bytes < HEAD_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut start, 0)?;
        let head = start.strip_prefix(MAGIC).and_then(|mut rest| Head::unpack(&mut rest));
        Ok(head.filter(|head| head.number == number).map(|head| Self {
            seal: Seal::of(key, &head),
            head,
            file,
            bytes,
            at: HEAD_BYTES as u64,
            body: Vec::new(),
        }))
    }

    /// Goes to a place that a batch began at.
    pub(super) fn go_to(&mut self, at: u64) {
        self.at = at.max(HEAD_BYTES as u64);
    }

    /// The next batch, or what is there instead. `wants` says whether the entries of a batch are asked for; the others are
    /// passed over unread.
    pub(super) fn next(&mut self, wants: impl Fn(&BatchHead) -> bool) -> io::Result<Option<Found<'_>>> {
        loop {
            let at = self.at;
            if at >= self.bytes {
                return Ok(None);
            }
            let Some(head) = self.head_at(at)? else { return self.damage(at).map(Some) };
            let end = at + (BATCH_HEAD_BYTES as u64) + u64::from(head.length);
            if end > self.bytes {
                return self.damage(at).map(Some);
            }
            if !wants(&head) && self.is_batch_or_end(end)? {
                self.at = end;
                continue;
            }
            let mut plain = [0; BATCH_HEAD_BYTES];
            self.file.read_exact_at(&mut plain, at)?;
            self.body.resize(head.length as usize, 0);
            self.file.read_exact_at(&mut self.body, at + BATCH_HEAD_BYTES as u64)?;
            let opened =
                self.seal.0.open_in_place(Seal::nonce(at), Aad::from(&plain[..]), &mut self.body).is_ok();
            if !opened {
                return self.damage(at).map(Some);
            }
            self.at = end;
            let length = self.body.len() - TAG_BYTES;
            return Ok(Some(Found::Batch(at, head, &self.body[..length])));
        }
    }

    fn is_batch_or_end(&self, at: u64) -> io::Result<bool> {
        Ok(at == self.bytes || self.head_at(at)?.is_some())
    }

    fn head_at(&self, at: u64) -> io::Result<Option<BatchHead>> {
        let mut start = [0; BATCH_HEAD_BYTES];
        if self.bytes < at + start.len() as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut start, at)?;
        let head = start.strip_prefix(BATCH).and_then(|mut rest| BatchHead::unpack(&mut rest));
        Ok(head.filter(|head| (TAG_BYTES as u32..=BATCH_BYTES_MAX).contains(&head.length)))
    }

    /// Looks for the next batch behind a place where none is.
    fn damage(&mut self, from: u64) -> io::Result<Found<'static>> {
        const STEP: usize = 1 << 16;
        let mut window = vec![0; STEP + BATCH.len() - 1];
        let mut at = from + 1;
        while at < self.bytes {
            let length = window.len().min((self.bytes - at) as usize);
            self.file.read_exact_at(&mut window[..length], at)?;
            let found = window[..length].windows(BATCH.len()).position(|word| word == BATCH);
            if let Some(place) = found {
                self.at = at + place as u64;
                return Ok(Found::Damage(from));
            }
            at += STEP as u64;
        }
        self.at = self.bytes;
        Ok(Found::Unfinished)
    }
}

/// The entries of a batch, each with its number.
pub(super) fn entries(mut body: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (0..).map_while(move |number| {
        let (length, rest) = body.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        body = rest;
        Some((number, entry))
    })
}

/// Appends an entry to a batch: its length, and what `write` writes.
pub(super) fn push(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let place = out.len();
    0u32.pack(out);
    write(out);
    let length = (out.len() - place - size_of::<u32>()) as u32;
    out[place..place + size_of::<u32>()].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn written(folder: &Path, batches: u8) -> Head {
        let head = Head { number: 1, began: Timestamp::from_ms(5), epoch: 2, before_bytes: 0 };
        let mut segment = Segment::begin(folder, &KEY, head).expect("begun");
        for number in 0..batches {
            let mut body = Vec::new();
            push(&mut body, |out| out.extend_from_slice(&[number; 40]));
            push(&mut body, |out| out.push(number));
            let at = Timestamp::from_ms(number.into());
            segment.append(&[&body], 2, (at, at)).expect("written");
        }
        segment.sync().expect("synced");
        head
    }

    /// Numbers of the batches that read back, and how many places are damaged or unfinished.
    fn read(folder: &Path) -> (Vec<u8>, usize) {
        let Some(mut reader) = Reader::open(folder, 1, &KEY).expect("readable") else { return (vec![], 1) };
        let (mut numbers, mut broken) = (Vec::new(), 0);
        while let Some(found) = reader.next(|_| true).expect("readable") {
            match found {
                Found::Batch(_, head, body) => {
                    let all: Vec<&[u8]> = entries(body).map(|(_, entry)| entry).collect();
                    assert_eq!((all.len(), all[0].len()), (head.entries as usize, 40));
                    assert_eq!(all[1], [all[0][0]]);
                    numbers.push(all[1][0]);
                }
                Found::Damage(_) | Found::Unfinished => broken += 1,
            }
        }
        (numbers, broken)
    }

    #[test]
    fn a_changed_byte_costs_its_own_batch_and_a_cut_what_is_behind_it() {
        let dir = tempfile::tempdir().expect("folder");
        written(dir.path(), 3);
        assert_eq!(read(dir.path()), (vec![0, 1, 2], 0));
        let path = file(dir.path(), 1);
        let whole = fs::read(&path).expect("readable");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("written");
            let (numbers, broken) = read(dir.path());
            // A changed head changes the key: nothing of the segment reads, and it is said.
            let lost = if at < HEAD_BYTES { 3 } else { 1 };
            assert!(broken > 0 && numbers.len() == 3 - lost, "byte {at}: {numbers:?}, {broken}");
        }
        let ends: Vec<usize> =
            (0..3).map(|n| HEAD_BYTES + (whole.len() - HEAD_BYTES) / 3 * (n + 1)).collect();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).expect("written");
            let (numbers, broken) = read(dir.path());
            assert_eq!(numbers.len(), ends.iter().filter(|at| **at <= end).count(), "cut at {end}");
            let between = end == HEAD_BYTES || ends.contains(&end);
            assert_eq!(broken > 0, !between, "cut at {end}");
        }
    }

    #[test]
    fn a_batch_of_another_place_or_of_another_segment_does_not_open() {
        let dir = tempfile::tempdir().expect("folder");
        let head = written(dir.path(), 2);
        let path = file(dir.path(), 1);
        let whole = fs::read(&path).expect("readable");
        let length = (whole.len() - HEAD_BYTES) / 2;
        let (first, second) = whole[HEAD_BYTES..].split_at(length);
        fs::write(&path, [&whole[..HEAD_BYTES], second, first].concat()).expect("written");
        assert_eq!(read(dir.path()).0, Vec::<u8>::new());
        let mut other = MAGIC.to_vec();
        Head { epoch: head.epoch + 1, ..head }.pack(&mut other);
        fs::write(&path, [&other[..], first, second].concat()).expect("written");
        assert_eq!(read(dir.path()).0, Vec::<u8>::new());
    }
}
