//! Where in a segment a request's answer lies: a file of fingerprints beside each segment that has ended.
//!
//! It is made when nobody asks anything, from the segment alone, and it may be lost: then the segment is looked through.
//! A fingerprint is keyed, so the file says nothing without the engine's key. Batches that hold anything but answers are
//! listed too, because whoever asks for an answer must hear of a gap. A segment that is damaged gets no index: looking
//! through it tells of the damage.

use super::segment::{self, Found, Reader};
use crate::decisions::Entry;
use crate::pack::{Pack, pack_fields};
use sparr_protocol::ids::RequestId;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"sparrdi1";
const SEAL_BYTES: usize = 32;

/// What an index begins with.
#[derive(Clone, Copy)]
struct Head {
    /// The segment's number.
    number: u64,
    /// How long the segment is: one that is not was changed.
    bytes: u64,
    /// Batches that are read whatever is asked.
    always: u64,
    /// Answers.
    answers: u64,
}

pack_fields!(Head { number, bytes, always, answers });

const PLACE_BYTES: usize = 8;
/// A fingerprint, and the place of its batch.
const ANSWER_BYTES: usize = 8 + PLACE_BYTES;

pub(super) fn file(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.ids"))
}

/// The key of a segment's fingerprints and of its seal.
fn key_of(key: &[u8; 32], number: u64) -> [u8; 32] {
    *blake3::keyed_hash(key, &[MAGIC.as_slice(), &number.to_le_bytes()].concat()).as_bytes()
}

fn fingerprint(key: &[u8; 32], id: RequestId) -> [u8; 8] {
    let hash = blake3::keyed_hash(key, &id.0);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Places of the batches in which the answer to a request can lie, and of those that are always read, in order; `None`
/// where the segment has no index that holds.
pub(super) fn places(
    folder: &Path,
    key: &[u8; 32],
    (number, bytes): (u64, u64),
    id: RequestId,
) -> io::Result<Option<Vec<u64>>> {
    let text = match fs::read(file(folder, number)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let key = key_of(key, number);
    let Some(Whole { always, answers }) = Whole::of(&text, &key, (number, bytes)) else { return Ok(None) };
    let wanted = fingerprint(&key, id);
    let first = answers.partition_point(|known| known[..8] < wanted[..]);
    let known = answers[first..].iter().take_while(|known| known[..8] == wanted);
    let mut places: Vec<u64> =
        known.map(|known| place(&known[8..])).chain(always.iter().map(|known| place(known))).collect();
    places.sort_unstable();
    places.dedup();
    Ok(Some(places))
}

fn place(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.first_chunk().copied().unwrap_or_default())
}

/// An index that is as it was written.
struct Whole<'a> {
    always: &'a [[u8; PLACE_BYTES]],
    /// Sorted, so that a fingerprint is found by halves.
    answers: &'a [[u8; ANSWER_BYTES]],
}

impl<'a> Whole<'a> {
    fn of(text: &'a [u8], key: &[u8; 32], segment: (u64, u64)) -> Option<Self> {
        let (said, seal) = text.split_last_chunk::<SEAL_BYTES>()?;
        let mut rest = said.strip_prefix(MAGIC)?;
        let head = Head::unpack(&mut rest)?;
        let (always, answers) = rest.split_at_checked(usize::try_from(head.always).ok()? * PLACE_BYTES)?;
        let (always, answers) = (always.as_chunks().0, answers.as_chunks().0);
        let counts = (always.len() as u64, answers.len() as u64) == (head.always, head.answers);
        let holds = (head.number, head.bytes) == segment && counts && blake3::keyed_hash(key, said) == *seal;
        holds.then_some(Self { always, answers })
    }
}

/// Makes the index of the oldest segment that has ended and has none. Whether there was one to make.
pub(super) fn make_next(folder: &Path, key: &[u8; 32]) -> io::Result<bool> {
    let numbers = segment::numbers(folder)?;
    let ended = numbers.split_last().map_or(&[][..], |(_, ended)| ended);
    match ended.iter().find(|number| !file(folder, **number).exists()) {
        Some(number) => make(folder, key, *number).map(|()| true),
        None => Ok(false),
    }
}

/// Makes the index of a segment. One that is damaged gets an empty file, which is no index.
fn make(folder: &Path, key: &[u8; 32], number: u64) -> io::Result<()> {
    let text = match Reader::open(folder, number, key)? {
        Some(reader) => text(reader, &key_of(key, number))?.unwrap_or_default(),
        None => Vec::new(),
    };
    let (half, whole) = (folder.join("index.new"), file(folder, number));
    File::create(&half).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_data()))?;
    fs::rename(half, whole)
}

/// What the index of a segment says; `None` where the segment is damaged.
fn text(mut reader: Reader, key: &[u8; 32]) -> io::Result<Option<Vec<u8>>> {
    let (mut always, mut answers) = (Vec::new(), Vec::new());
    let (number, bytes) = (reader.head.number, reader.bytes);
    while let Some(found) = reader.next(|_| true)? {
        let (at, body) = match found {
            Found::Batch(at, _, body) => (at, body),
            Found::Damage(_) => return Ok(None),
            // The end of a life that was cut short: the gap behind it says so.
            Found::Unfinished => break,
        };
        let mut others = false;
        for (_, entry) in segment::entries(body) {
            match Entry::glance(entry) {
                Some((_, id)) => answers.push([fingerprint(key, id), at.to_be_bytes()]),
                None => others = true,
            }
        }
        always.extend(others.then(|| at.to_be_bytes()));
    }
    answers.sort_unstable();
    answers.dedup();
    let head = Head { number, bytes, always: always.len() as u64, answers: answers.len() as u64 };
    let mut said = MAGIC.to_vec();
    head.pack(&mut said);
    said.extend_from_slice(always.as_flattened());
    said.extend_from_slice(answers.as_flattened().as_flattened());
    let seal = blake3::keyed_hash(key, &said);
    said.extend_from_slice(seal.as_bytes());
    Ok(Some(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::decision_log::query::{Match, find};
    use crate::server::decision_log::segment::{Head as SegmentHead, Segment, push};
    use sparr_protocol::exchange::{Answered, DecisionDetail, DecisionPlace, DecisionQuery};
    use sparr_protocol::time::Timestamp;

    const KEY: [u8; 32] = [9; 32];

    /// What begins like an answer, and what does not.
    fn entry(id: Option<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        match id {
            Some(id) => {
                bytes.push(crate::decisions::DECISION);
                bytes.extend_from_slice(&5i64.to_le_bytes());
                bytes.extend_from_slice(&request(id).0);
            }
            None => bytes.push(u8::MAX),
        }
        bytes
    }

    fn request(id: u64) -> RequestId {
        let mut bytes = [1; 16];
        bytes[..8].copy_from_slice(&id.to_le_bytes());
        RequestId(bytes)
    }

    /// Three segments of which two have ended; each answer stands twice, and now and then there is something else.
    fn written(folder: &Path) {
        for number in 1..=3 {
            let before_bytes = fs::metadata(segment::file(folder, number - 1)).map_or(0, |it| it.len());
            let head = SegmentHead { number, began: Timestamp::from_ms(5), epoch: 2, before_bytes };
            let mut segment = Segment::begin(folder, &KEY, head).expect("begun");
            for batch in 0..40 {
                let mut body = Vec::new();
                for id in 0..7 {
                    push(&mut body, |out| out.extend(entry(Some((number * 40 + batch) / 2 * 7 + id))));
                }
                if batch % 13 == 5 {
                    push(&mut body, |out| out.extend(entry(None)));
                }
                segment.append(&[&body], 8, (Timestamp::from_ms(5), Timestamp::from_ms(5))).expect("written");
            }
        }
    }

    /// Places of everything that a question for one answer hears; what cannot be read stands for itself.
    fn found(folder: &Path, id: u64, after: DecisionPlace) -> Vec<DecisionPlace> {
        let query = DecisionQuery {
            request: Some(request(id)),
            since: Timestamp::MIN,
            until: Timestamp::from_ms(i64::MAX),
            after,
            limit: 1_000,
            answer: Answered::Any,
            member: None,
            rule: None,
            detail: DecisionDetail::default(),
        };
        let mut places = Vec::new();
        find(folder, &KEY, &query, |place, found, _| {
            // The entries are short: none of them is a whole answer.
            assert!(matches!(found, Match::Damage(_)));
            places.push(place);
            true
        })
        .expect("readable");
        places
    }

    #[test]
    fn with_and_without_an_index_the_same_is_found() {
        let dir = tempfile::tempdir().expect("folder");
        written(dir.path());
        let begin = DecisionPlace { segment: 0, at: 0 };
        let without: Vec<_> = (0..600).map(|id| found(dir.path(), id, begin)).collect();
        while make_next(dir.path(), &KEY).expect("made") {}
        assert!(file(dir.path(), 2).exists() && !file(dir.path(), 3).exists());
        for (id, scanned) in (0..).zip(&without) {
            assert_eq!(found(dir.path(), id, begin), *scanned, "{id}");
            // A page goes on behind the last line of the one before it.
            for (n, place) in scanned.iter().enumerate() {
                assert_eq!(found(dir.path(), id, *place), scanned[n + 1..], "{id} behind {place:?}");
            }
        }
        let bytes = fs::metadata(segment::file(dir.path(), 1)).expect("there").len();
        let listed =
            |id| places(dir.path(), &KEY, (1, bytes), request(id)).expect("readable").map(|all| all.len());
        assert_eq!((listed(20 * 7), listed(5_000)), (Some(3 + 2), Some(3)), "of forty batches");
        // An index that is not as it was written, of another segment or of another length, is none.
        let path = file(dir.path(), 1);
        let whole = fs::read(&path).expect("readable");
        for at in (0..whole.len()).step_by(61) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).expect("written");
            assert_eq!(listed(20 * 7), None, "byte {at}");
            fs::write(&path, &whole[..at]).expect("written");
            assert_eq!(listed(20 * 7), None, "cut at {at}");
        }
        fs::write(&path, &whole).expect("written");
        assert_eq!(places(dir.path(), &KEY, (1, bytes - 1), request(1)).expect("readable"), None);
        assert_eq!(places(dir.path(), &[8; 32], (1, bytes), request(1)).expect("readable"), None);
    }

    #[test]
    fn a_damaged_segment_has_no_index_and_tells_of_it() {
        let dir = tempfile::tempdir().expect("folder");
        written(dir.path());
        let path = segment::file(dir.path(), 1);
        let mut bytes = fs::read(&path).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).expect("written");
        let begin = DecisionPlace { segment: 0, at: 0 };
        let before: Vec<_> = (0..300).map(|id| found(dir.path(), id, begin)).collect();
        while make_next(dir.path(), &KEY).expect("made") {}
        assert_eq!(places(dir.path(), &KEY, (1, bytes.len() as u64), request(1)).expect("readable"), None);
        let after: Vec<_> = (0..300).map(|id| found(dir.path(), id, begin)).collect();
        assert_eq!(before, after);
    }
}
