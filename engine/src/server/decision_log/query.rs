//! Looking through the log: from a place on, for what a query asks.

use super::index;
use super::names;
use super::segment::{self, Found, Reader};
use crate::decisions::{Entry, Logged};
use hashbrown::HashMap;
use sparr_protocol::exchange::{Answered, DecisionPlace, DecisionQuery};
use sparr_protocol::ids::RuleSetDigest;
use std::io;
use std::path::Path;

/// Entries of one batch at most, as far as places are concerned.
const ENTRIES_MAX: u64 = 1 << 20;

/// What is found at a place.
pub(super) enum Match<'a> {
    /// An answer, or what must be known about answers.
    Entry(Entry),
    /// Something that is not as it was written.
    Damage(&'a str),
}

/// Names of rules by set, read once each.
pub(super) struct Names<'a> {
    folder: &'a Path,
    known: HashMap<RuleSetDigest, Vec<String>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(folder: &'a Path) -> Self {
        Self { folder, known: HashMap::new() }
    }

    /// The name of a rule by its place; the place where nobody knows it.
    pub(super) fn rule(&mut self, digest: RuleSetDigest, place: u16) -> String {
        let folder = self.folder;
        let names =
            self.known.entry(digest).or_insert_with(|| names::read(folder, digest).unwrap_or_default());
        names.get(usize::from(place)).cloned().unwrap_or_else(|| format!("#{place}"))
    }
}

/// Hands on everything that a query asks for, in the order of the log, until `each` has enough.
pub(super) fn find(
    folder: &Path,
    key: &[u8; 32],
    query: &DecisionQuery,
    mut each: impl FnMut(DecisionPlace, Match<'_>, &mut Names<'_>) -> bool,
) -> io::Result<()> {
    let mut names = Names::of(folder);
    let numbers = segment::numbers(folder)?;
    let mut bytes_before: Option<(u64, u64)> = None;
    for (index, number) in numbers.iter().copied().enumerate() {
        let place = |at: u64| DecisionPlace { segment: number, at };
        let is_newest = index + 1 == numbers.len();
        if number < query.after.segment {
            continue;
        }
        let mut reader = match Reader::open(folder, number, key)? {
            Some(reader) => reader,
            // A segment that is being begun has no head yet.
            None if is_newest => continue,
            None => {
                bytes_before = None;
                if !each(
                    place(0),
                    Match::Damage("the head of the segment is not as it was written"),
                    &mut names,
                ) {
                    return Ok(());
                }
                continue;
            }
        };
        if reader.head.began >= query.until {
            return Ok(());
        }
        // What follows a place was told before.
        if place(0) > query.after
            && let Some((before, bytes)) = bytes_before
            && (before + 1 != number || bytes != reader.head.before_bytes)
        {
            let what = if before + 1 == number {
                "the segment before this one is shorter than it was"
            } else {
                "segments before this one are missing"
            };
            if !each(place(0), Match::Damage(what), &mut names) {
                return Ok(());
            }
        }
        bytes_before = Some((number, reader.bytes));
        if number == query.after.segment {
            reader.go_to(query.after.at / ENTRIES_MAX);
        }
        // Where the segment has an index, an answer is looked for in a few batches; the newest has none yet.
        let mut listed = match query.request.filter(|_| !is_newest) {
            Some(id) => index::places(folder, key, (number, reader.bytes), id)?.map(Vec::into_iter),
            None => None,
        };
        let all = listed.is_some();
        let wants =
            |batch: &segment::BatchHead| all || batch.last >= query.since && batch.first < query.until;
        loop {
            if let Some(listed) = &mut listed {
                let told = if number == query.after.segment { query.after.at / ENTRIES_MAX } else { 0 };
                let Some(at) = listed.find(|at| *at >= told) else { break };
                reader.go_to(at);
            }
            let Some(found) = reader.next(wants)? else { break };
            let (at, body) = match found {
                Found::Batch(at, _, body) => (at, body),
                Found::Damage(at) => {
                    let at = place(at * ENTRIES_MAX);
                    if at > query.after
                        && !each(
                            at,
                            Match::Damage("a part of the segment is not as it was written"),
                            &mut names,
                        )
                    {
                        return Ok(());
                    }
                    continue;
                }
                // What an engine that was killed, or that is writing now, had not finished. A gap says so.
                Found::Unfinished => continue,
            };
            for (number, bytes) in segment::entries(body) {
                // Counted from one, so that a whole batch can be named as unread.
                let here = place(at * ENTRIES_MAX + number + 1);
                if here <= query.after || !is_near(bytes, query) {
                    continue;
                }
                let found = match Entry::read(bytes) {
                    Some(entry) if asks_for(query, &entry, &mut names) => Match::Entry(entry),
                    Some(_) => continue,
                    None => Match::Damage("an entry cannot be read by this version"),
                };
                if !each(here, found, &mut names) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What a glance at an entry says: most are of another request or another time.
fn is_near(bytes: &[u8], query: &DecisionQuery) -> bool {
    let Some((at, id)) = Entry::glance(bytes) else { return true };
    at >= query.since && at < query.until && query.request.is_none_or(|wanted| wanted == id)
}

fn asks_for(query: &DecisionQuery, entry: &Entry, names: &mut Names<'_>) -> bool {
    let logged = match entry {
        Entry::Decision(logged) => logged,
        Entry::Gap(gap) => return gap.until >= query.since && gap.from < query.until,
        Entry::Began { .. } | Entry::Stopped { .. } => return false,
    };
    let answered = match (query.answer, &logged.response.answer) {
        (Answered::Any, _) | (Answered::NotScreened, Err(_)) => true,
        (Answered::With(outcome), Ok(decided)) => decided.outcome == outcome,
        (Answered::With(_), Err(_)) | (Answered::NotScreened, Ok(_)) => false,
    };
    let involved = query.member.is_none_or(|member| logged.members().contains(&member));
    let can_be_read_again = !query.detail.export || logged.request.is_some() && logged.basis.is_some();
    answered
        && involved
        && can_be_read_again
        && query.rule.as_ref().is_none_or(|rule| hit(logged, rule, names))
}

fn hit(logged: &Logged, rule: &str, names: &mut Names<'_>) -> bool {
    let Some(basis) = &logged.basis else { return false };
    let digest = logged.response.rule_set_digest;
    basis.enforced.iter().chain(&basis.shadow).any(|place| names.rule(digest, *place) == rule)
}
