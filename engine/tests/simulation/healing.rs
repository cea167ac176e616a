//! The end: everything heals, and then all engines hold the same, nothing is lost, and nothing is back.

use crate::ledger::place_of;
use crate::node::BEGAN_MS;
use crate::people::SUBJECTS;
use crate::plan::Fault;
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::replication::{EngineOf, EpochHead};
use sparr_engine::version::Version;
use sparr_protocol::ids::{MemberName, Pseudonym};
use sparr_protocol::record::{Payload, RecordRef};
use sparr_protocol::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// So long may it take until all engines hold the same.
const CONVERGED_MS: u64 = 30_000;

/// An engine that has left is not there any more after so long: what the broker kept of it is delivered when the link is up
/// again, and then it is silent.
const GONE_MS: u64 = 10_000;

/// So long until the broker has what it lost: the patience with an unanswered broadcast, and a little.
const SAID_MS: u64 = 15_000;

/// An engine that calls itself fresh is so as of a time that is not longer ago.
const FRESH_MS: u64 = 1_000;

impl Sim {
    /// Ends all faults and waits until everything is the same everywhere.
    pub(crate) fn heal(&mut self) -> Outcome {
        // Who sleeps wakes up first.
        let awake = self.nodes.iter().map(|node| node.paused_until).max().unwrap_or(0).max(self.time);
        self.run_until(awake)?;
        self.is_healed = true;
        self.tell(|| "everything heals".to_owned());
        self.broker.is_up = true;
        for node in 0..self.nodes.len() {
            self.mend(node);
            // Every clock is later than any was.
            self.nodes[node].skew = 600_000;
            self.nodes[node].paused_until = 0;
            self.nodes[node].dies_after_sync = false;
            self.restart(node)?;
            let session = self.nodes[node].link.session;
            if self.nodes[node].link.is_up && self.nodes[node].link.generation != self.broker.generation {
                self.push(self.time, Event::Reset { node, session });
            }
        }
        let healed = self.time;
        let end = healed + CONVERGED_MS;
        while !self.is_converged() {
            if self.time >= end {
                return Err(self.why_not_converged());
            }
            self.run_until(self.time + 500)?;
            self.admit(true)?;
        }
        // Positions go round once more, and who has left is no longer taken for somebody who is there.
        self.run_until((self.time + 2_600).max(healed + GONE_MS))?;
        let end = self.time + SAID_MS;
        while self.time < end && !self.has_said_everything() {
            self.run_until(self.time + 500)?;
        }
        self.check_end()
    }

    fn staying(&self) -> impl Iterator<Item = &crate::node::Node> {
        self.nodes.iter().filter(|node| !node.has_departed)
    }

    fn is_converged(&self) -> bool {
        let first = self.nodes[0].disk.heads();
        self.staying().all(|node| {
            let knows_all = |process: &crate::node::Process| {
                let takes_part =
                    |other: &crate::node::Node| process.state.members.acting_kind(other.of.member).is_some();
                process.is_joined && process.jobs.is_empty() && self.staying().all(takes_part)
            };
            node.link.is_up && node.process.as_ref().is_some_and(knows_all) && node.disk.heads() == first
        })
    }

    fn has_said_everything(&self) -> bool {
        (0..self.nodes.len()).all(|node| {
            let now = self.now(node);
            let process = self.nodes[node].process.as_ref();
            process.is_none_or(|process| process.replica.view(&BTreeSet::new(), now).waiting == 0)
        })
    }

    fn why_not_converged(&self) -> String {
        let mut lines = vec!["not all the same after everything healed".to_owned()];
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.has_departed) {
            let heads: Vec<String> = node
                .disk
                .heads()
                .iter()
                .map(|(of, EpochHead { epoch, sequence, .. })| format!("{of}:{epoch}.{sequence}"))
                .collect();
            lines.push(format!("{} has {}", node.of, heads.join(" ")));
            let Some(process) = &node.process else { continue };
            let view = process.replica.view(&process.expected(), self.now(at));
            lines.push(format!(
                "  linked {} joined {} jobs {}",
                view.linked,
                view.joined,
                process.jobs.len()
            ));
            for engine in view.engines {
                lines.push(format!(
                    "  {}: last {:?} live {} behind {:?} held {:?}",
                    engine.of, engine.last, engine.is_live, engine.behind_ms, engine.held
                ));
            }
        }
        lines.join("\n")
    }

    fn check_end(&self) -> Outcome {
        let end = Timestamp::from_ms(BEGAN_MS as i64);
        let first = &self.nodes[0];
        let digest = first.process.as_ref().map(|process| process.state.exchange_digest(end));
        for node in self.staying() {
            let theirs = node.process.as_ref().map(|process| process.state.exchange_digest(end));
            if theirs != digest {
                return Err(format!(
                    "{} and {} have the same records and not the same state",
                    first.of, node.of
                ));
            }
        }
        self.check_records()?;
        self.check_flags()?;
        (0..self.nodes.len()).try_for_each(|node| self.check_view_at_end(node))
    }

    /// Every acknowledged record is there, unless it lay on destroyed disks alone; nothing is there that nobody made.
    fn check_records(&self) -> Outcome {
        let disk = &self.nodes[0].disk;
        for sealed in disk.records() {
            if !self.ledger.made.contains_key(&sealed.digest) {
                return Err(format!("nobody made {:?}", sealed.record));
            }
        }
        for (digest, made) in &self.ledger.made {
            let (of, place) = place_of(&made.sealed);
            let is_there = disk.has(of, place, digest);
            if made.acknowledged.is_some() && !is_there && !self.ledger.lost.contains(digest) {
                return Err(format!("{of} {place:?} was acknowledged and is gone"));
            }
        }
        Ok(())
    }

    /// The model: of each person and registrar the highest raise and the highest lift.
    fn check_flags(&self) -> Outcome {
        let mut model: BTreeMap<(Pseudonym, MemberName), [Option<Version>; 2]> = BTreeMap::new();
        for sealed in self.nodes[0].disk.records() {
            let (subject, is_lift) = match &sealed.record.payload {
                Payload::FlagRaised { subject, .. } => (*subject, 0),
                Payload::FlagLifted { subject, .. } => (*subject, 1),
                _ => continue,
            };
            if subject.0[0] < SUBJECTS {
                let known = model.entry((subject, sealed.record.actor.member)).or_default();
                known[is_lift] = known[is_lift].max(Some(Version::of(&sealed.record)));
            }
        }
        let now = Timestamp::from_ms(BEGAN_MS as i64);
        for node in self.staying() {
            let Some(process) = &node.process else { continue };
            let mut flags = 0;
            for ((subject, registrar), [raised, lifted]) in &model {
                let is_flagged = raised.is_some() && raised > lifted;
                let flag = process.state.stores.flags.of(*subject, *registrar);
                let is_active = flag.is_some_and(|flag| flag.active(now).is_some());
                flags += usize::from(flag.is_some());
                if is_flagged != is_active {
                    return Err(format!(
                        "{}: the flag of {subject:?} by {registrar} is {is_active}, and should be {is_flagged}",
                        node.of
                    ));
                }
            }
            let mut all = 0;
            process.state.stores.flags.for_each(|subject, _| all += usize::from(subject.0[0] < SUBJECTS));
            if all != flags {
                return Err(format!("{} has {all} flags, and {flags} were raised", node.of));
            }
        }
        Ok(())
    }

    /// What an engine says of the exchange when all is well.
    fn check_view_at_end(&self, node: usize) -> Outcome {
        let now = self.now(node);
        let viewer = &self.nodes[node];
        let Some(process) = &viewer.process else { return Ok(()) };
        let of = viewer.of;
        let confirmed = process.replica.confirmed_ms().unwrap_or(0);
        let view = process.replica.view(&process.expected(), now);
        if confirmed + FRESH_MS < now.steady_ms {
            let behind: Vec<_> = view.engines.iter().filter(|engine| engine.behind_ms.is_some()).collect();
            return Err(format!("{of} is fresh as of {} ms ago: {behind:?}", now.steady_ms - confirmed));
        }
        if !view.linked || !view.joined || view.waiting > 0 {
            return Err(format!(
                "{of}: linked {}, joined {}, waiting {}",
                view.linked, view.joined, view.waiting
            ));
        }
        let forged = self.hits.contains_key(&Fault::NotPermitted);
        let is_real = |of: &EngineOf| self.staying().any(|node| node.of == *of);
        if let Some(held) = view.engines.iter().find(|engine| engine.held.is_some() && is_real(&engine.of)) {
            return Err(format!("{of} holds {} up: {:?}", held.of, held.held));
        }
        // Members of which every engine is there, and nobody spoke in the name of another.
        let whole = |name: &MemberName| {
            self.nodes.iter().all(|node| node.of.member != *name || !node.has_departed)
                && self.nodes.iter().any(|node| node.of.member == *name)
                && !(forged && name.as_str() == "bank-1")
        };
        for sealed in viewer.disk.records() {
            let record = RecordRef { origin: sealed.record.origin, sequence: sealed.record.sequence };
            let enforced = view.enforced(record);
            if let Some(missing) = enforced.missing.iter().find(|name| whole(name)) {
                return Err(format!("{of}: {missing} has {record:?} and does not count"));
            }
        }
        Ok(())
    }
}
