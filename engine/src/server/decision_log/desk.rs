//! Answers questions about the log, on a thread of its own that gives way to screening.

use super::again::Sets;
use super::index;
use super::lines::{Lines, damage_of};
use super::query::{Match, find};
use super::segment::folder;
use crate::server::polite;
use crate::server::rule_store::RuleStore;
use crate::state::State;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use sparr_protocol::exchange::{DecisionQuery, PIECE_BYTES_MAX, Refusal, Said};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use zeroize::Zeroizing;

/// Questions that wait at most.
const WAITING_MAX: usize = 16;
/// How often segments that have ended get their index, where nobody asks anything.
const INDEX_EVERY: Duration = Duration::from_secs(5);

/// Hears all answers to a question at once.
pub(in crate::server) type Page = Box<dyn FnOnce(Vec<Said>) + Send>;

struct Question {
    query: Box<DecisionQuery>,
    page: Page,
}

/// Where questions are handed in.
pub(in crate::server) struct DecisionsDesk(Option<Sender<Question>>);

impl DecisionsDesk {
    /// Where there is no log.
    pub(in crate::server) fn closed() -> Self {
        Self(None)
    }

    /// Queues a question; `page` hears what was found, on another thread.
    pub(in crate::server) fn submit(&self, query: Box<DecisionQuery>, page: Page) {
        let Some(questions) = &self.0 else { return page(vec![Said::Refused(Refusal::LogOff)]) };
        match questions.try_send(Question { query, page }) {
            Ok(()) => {}
            Err(TrySendError::Full(question)) => {
                (question.page)(vec![Said::Refused(Refusal::Overloaded)]);
            }
            Err(TrySendError::Disconnected(question)) => {
                (question.page)(vec![Said::Refused(Refusal::NotReady)]);
            }
        }
    }
}

/// Starts the thread. It ends when the desk is gone, after the last question.
pub(in crate::server) fn start(
    data_dir: &Path,
    key: &[u8; 32],
    rule_sets: RuleStore,
    state: Arc<State>,
) -> io::Result<(DecisionsDesk, JoinHandle<()>)> {
    let (questions, waiting): (_, Receiver<Question>) = bounded(WAITING_MAX);
    let (folder, key): (PathBuf, _) = (folder(data_dir), Zeroizing::new(*key));
    let thread = std::thread::Builder::new().name("decisions".to_owned()).spawn(move || {
        polite::give_way();
        loop {
            let Question { query, page } = match waiting.recv_timeout(INDEX_EVERY) {
                Ok(question) => question,
                Err(RecvTimeoutError::Timeout) => {
                    make_indexes(&folder, &key, &waiting);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            page(match answer(&folder, &key, &query, &rule_sets, &state) {
                Ok(said) => said,
                Err(error) => {
                    tracing::error!(%error, "the decision log cannot be read");
                    vec![Said::Refused(Refusal::LogUnreadable)]
                }
            });
        }
    })?;
    Ok((DecisionsDesk(Some(questions)), thread))
}

/// Makes the indexes that are missing, until somebody asks something.
fn make_indexes(folder: &Path, key: &[u8; 32], waiting: &Receiver<Question>) {
    while waiting.is_empty() {
        match index::make_next(folder, key) {
            Ok(true) => {}
            Ok(false) => return,
            // Without one the segment is looked through.
            Err(error) => return tracing::warn!(%error, "an index of the decision log cannot be made"),
        }
    }
}

fn answer(
    folder: &Path,
    key: &[u8; 32],
    query: &DecisionQuery,
    rule_sets: &RuleStore,
    state: &State,
) -> io::Result<Vec<Said>> {
    let mut lines = Lines { state, sets: Sets::of(rule_sets), detail: query.detail };
    let (mut text, mut count) = (String::new(), 0);
    find(folder, key, query, |at, found, names| {
        let line = match found {
            Match::Entry(entry) => lines.of(at, &entry, names),
            Match::Damage(what) => damage_of(at, what),
        };
        text.push_str(&line.to_string());
        text.push('\n');
        count += 1;
        count < query.limit
    })?;
    let mut said = pieces(&text);
    said.push(Said::End);
    Ok(said)
}

/// A text in pieces of which each fits an answer, cut between letters.
fn pieces(mut text: &str) -> Vec<Said> {
    let mut pieces = Vec::with_capacity(text.len() / PIECE_BYTES_MAX + 2);
    while !text.is_empty() {
        let piece = text.get(..text.floor_char_boundary(PIECE_BYTES_MAX)).unwrap_or(text);
        pieces.push(Said::Piece(piece.to_owned()));
        text = &text[piece.len()..];
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_and_are_the_text() {
        let text = "aå€🎉".repeat(400);
        let mut together = String::new();
        for said in pieces(&text) {
            let Said::Piece(piece) = said else { panic!("a piece") };
            assert!((1..=PIECE_BYTES_MAX).contains(&piece.len()));
            together.push_str(&piece);
        }
        assert_eq!(together, text);
    }
}
