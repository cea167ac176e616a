//! Changes of rule sets that people ask for over the data plane, with the identity that their certificate proves.
//!
//! A set takes up to seconds to load, so none is loaded on a worker's thread: one thread of the lowest priority carries
//! out one change after the other.

use super::journal::Reply;
use super::polite;
use super::reload::{Reloader, RulesError};
use crate::recent::Blast;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use sparr_protocol::exchange::{BlastEntry, Refusal, RulesOperation, Said};
use sparr_protocol::ids::{Actor, RuleSetDigest};
use sparr_protocol::limits::TEXT_BYTES_MAX;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Changes that wait at most: each is a person at a keyboard.
const WAITING_MAX: usize = 16;

struct Change {
    by: Actor,
    operation: RulesOperation,
    reply: Reply,
}

/// Where changes of rule sets are handed in.
pub(super) struct RulesDesk {
    changes: Sender<Change>,
}

impl RulesDesk {
    /// Queues a change; `reply` hears what became of it, on another thread.
    pub(super) fn submit(&self, by: Actor, operation: RulesOperation, reply: Reply) {
        match self.changes.try_send(Change { by, operation, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(change)) => (change.reply)(Said::Refused(Refusal::Overloaded)),
            Err(TrySendError::Disconnected(change)) => (change.reply)(Said::Refused(Refusal::NotReady)),
        }
    }
}

/// Starts the thread. It ends when the desk is gone, after the last change.
pub(super) fn start(reloader: Arc<Reloader>) -> std::io::Result<(RulesDesk, JoinHandle<()>)> {
    let (changes, waiting): (_, Receiver<Change>) = bounded(WAITING_MAX);
    let thread = std::thread::Builder::new().name("rules-desk".to_owned()).spawn(move || {
        polite::give_way();
        for Change { by, operation, reply } in waiting {
            if matches!(operation, RulesOperation::Plan) {
                reply(match reloader.plan() {
                    Ok((digest, blast)) => Said::Blast(Box::new(entry(digest, &blast))),
                    Err(error) => Said::Refused(refusal(&error)),
                });
                continue;
            }
            reply(match reloader.carry_out(&operation, &by) {
                Ok((digest, staged)) => Said::RuleSet { digest, staged },
                Err(error) => Said::Refused(refusal(&error)),
            });
        }
    })?;
    Ok((RulesDesk { changes }, thread))
}

fn entry(digest: RuleSetDigest, blast: &Blast) -> BlastEntry {
    let mut sentence = blast.sentence();
    while sentence.len() > TEXT_BYTES_MAX {
        sentence.pop();
    }
    BlastEntry {
        digest,
        requests: blast.requests,
        changes: blast.changes(),
        declines_before: blast.declines_before,
        declines_after: blast.declines_after,
        people: blast.people,
        flagged: blast.flagged,
        sentence,
    }
}

fn refusal(error: &RulesError) -> Refusal {
    match error {
        RulesError::NothingStaged => Refusal::NothingStaged,
        RulesError::OtherStaged => Refusal::OtherSetStaged,
        RulesError::SamePerson => Refusal::SamePerson,
        RulesError::NoSuchSet => Refusal::NoSuchRuleSet,
        RulesError::NoSuchRule => Refusal::NoSuchRule,
        RulesError::AlreadySo => Refusal::AlreadySo,
        RulesError::NotKept(_) => Refusal::NotKept,
        RulesError::Refused => Refusal::RulesRefused,
        RulesError::AcceptNeeded => Refusal::AcceptNeeded,
    }
}
