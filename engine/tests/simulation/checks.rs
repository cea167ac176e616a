//! What must hold at every step.

use crate::ledger::place_of;
use crate::node::{BEGAN_MS, Job};
use crate::plan::Control;
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::indicators::Effect;
use sparr_engine::replication::EngineOf;
use sparr_protocol::record::RecordRef;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// The constants of `replication`, as the outside sees them.
const STORING_MAX: usize = 64;
const READS_MAX: usize = 8;
const IN_FLIGHT_MAX: usize = 64;
/// Broadcasts that a read for the broker brings at most: beside those that wait.
const READ_AT_ONCE: usize = 8;
/// A broadcast that nobody answered in this time is forgotten, ms.
const PATIENCE_MS: u64 = 10_000;
/// An engine that was silent for so long is not there, ms.
const SILENT_MS: u64 = 5_000;

impl Sim {
    /// Queues never exceed their constants.
    pub(crate) fn check_bounds(&mut self, node: usize) -> Outcome {
        let (of, time) = (self.nodes[node].of, self.time);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.unanswered.retain(|_, at| time < *at + PATIENCE_MS);
        let storing = process.jobs.iter().filter(|queued| matches!(queued.job, Job::Foreign { .. })).count();
        let counts = [
            ("batches for the disk", storing, STORING_MAX),
            ("reads", process.reads, READS_MAX + 1),
            ("broadcasts", process.unanswered.len(), IN_FLIGHT_MAX + READ_AT_ONCE),
        ];
        match counts.iter().find(|(_, count, most)| count > most) {
            Some((what, count, most)) => Err(format!("{of} has {count} {what}, of {most} at most")),
            None => Ok(()),
        }
    }

    /// An engine that calls itself fresh as of a time has applied everything that the broker had taken before that time
    /// and did not lose on its way there.
    pub(crate) fn check_freshness(&mut self, node: usize) -> Outcome {
        // What is taken away must be missed at the end, by what is there and what is not.
        if self.control != Control::None {
            return Ok(());
        }
        let time = self.time;
        let now = self.now(node);
        let damaged: BTreeMap<EngineOf, u32> = self
            .nodes
            .iter()
            .map(|node| (node.of, if node.is_damaged { u32::MAX } else { node.damaged_in }))
            .collect();
        let node_at = &mut self.nodes[node];
        let Some(process) = &mut node_at.process else { return Ok(()) };
        let Some(confirmed) = process.replica.confirmed_ms() else { return Ok(()) };
        let Some(as_of) = confirmed.checked_sub(process.steady_base).filter(|as_of| *as_of <= time) else {
            return Err(format!("{} is fresh as of a time that has not come", node_at.of));
        };
        while let Some((key, owed)) = process.owed.first_key_value().map(|(key, owed)| (*key, *owed)) {
            let (at, _) = key;
            if at >= as_of {
                break;
            }
            if node_at.disk.last(owed.of, owed.last.epoch) < owed.last.sequence {
                let view = process.replica.view(&process.expected(), now);
                let held = view.engines.iter().find(|engine| engine.of == owed.of).and_then(|it| it.held);
                // Of who is suspended, and of who held back, nothing is promised.
                let takes_part = process.state.members.acting_kind(owed.of.member).is_some();
                let is_silent = process.heard.get(&owed.of).is_none_or(|heard| time >= heard + SILENT_MS);
                // Whoever has it beside the disk that is gone says so with its next position.
                let is_lost = self.ledger.lost_of(owed.of, owed.last)
                    || damaged.get(&owed.of).is_none_or(|life| *life > owed.last.epoch);
                if held.is_none() && takes_part && !is_silent && !is_lost {
                    return Err(format!(
                        "{} says at {time} that it is fresh as of {as_of}, and lacks {} {:?}, taken at {at}: {:?}",
                        node_at.of, owed.of, owed.last, view.engines
                    ));
                }
            }
            process.owed.remove(&key);
        }
        Ok(())
    }

    /// Nobody but its own member sees an indicator before a receipt of its content was applied there.
    pub(crate) fn check_indicators(&self, node: usize) -> Outcome {
        let of = self.nodes[node].of;
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let now = Timestamp::from_ms(BEGAN_MS as i64);
        for traced in self.ledger.indicators.iter().filter(|traced| traced.registrar != of.member) {
            let Some(indicator) = process.state.stores.indicators.of(traced.id) else { continue };
            let is_visible = indicator.effect(of.member, now) != Effect::None;
            let has_receipt = traced.receipts.iter().any(|receipt| process.applied.contains(receipt));
            if is_visible && !has_receipt {
                return Err(format!("{of} sees an indicator of {} without its receipt", traced.registrar));
            }
        }
        Ok(())
    }

    /// An engine calls itself live: it has everything that those who are there had when they said so last.
    pub(crate) fn joined(&mut self, node: usize) -> Outcome {
        let time = self.time;
        let of = self.nodes[node].of;
        self.tell(|| format!("{of} is live"));
        let now = self.now(node);
        let node_at = &mut self.nodes[node];
        let Some(process) = &mut node_at.process else { return Ok(()) };
        let view = process.replica.view(&process.expected(), now);
        for (peer, heard) in &process.heard {
            let takes_part = process.state.members.acting_kind(peer.member).is_some();
            if !takes_part || time >= heard + SILENT_MS {
                continue;
            }
            let Some((_, had)) = process.positions.get(peer) else {
                return Err(format!("{of} is live and does not know what {peer} has"));
            };
            for (engine, head) in had.iter() {
                let held = view.engines.iter().any(|known| known.of == *engine && known.held.is_some());
                if node_at.disk.last(*engine, head.epoch) < head.sequence && !held {
                    return Err(format!("{of} is live and lacks {engine} {head:?}, which {peer} had"));
                }
            }
        }
        let members = &process.state.members;
        process.heard.retain(|peer, _| members.acting_kind(peer.member).is_some());
        process.is_joined = true;
        node_at.disk.has_joined = true;
        Ok(())
    }

    /// Looks into what an engine says of a few records; makes copies that may be put back later.
    pub(crate) fn check(&mut self) -> Outcome {
        if self.is_healed {
            return Ok(());
        }
        let next = self.time + self.random.between(100, 600);
        self.push(next, Event::Check);
        if self.random.chance(20) {
            self.broker.copy();
        }
        let node = self.random.below(self.nodes.len() as u64) as usize;
        if self.random.chance(30) {
            self.nodes[node].backup = Some(self.nodes[node].disk.clone());
        }
        for _ in 0..4 {
            if let Some(digest) = self.random.pick(&self.ledger.order).copied() {
                self.check_receipts(node, digest)?;
            }
        }
        Ok(())
    }

    /// A member counts as having a record only where each of its engines that was heard has it on its disk.
    fn check_receipts(&self, node: usize, digest: [u8; 32]) -> Outcome {
        let now = self.now(node);
        let viewer = &self.nodes[node];
        let (Some(process), Some(made)) = (&viewer.process, self.ledger.made.get(&digest)) else {
            return Ok(());
        };
        let (of, place) = place_of(&made.sealed);
        let record = RecordRef { origin: made.sealed.record.origin, sequence: place.sequence };
        let view = process.replica.view(&process.expected(), now);
        let enforced = view.enforced(record);
        for other in &self.nodes {
            let member = other.of.member;
            let counts = view.members.contains_key(&member) && !enforced.missing.contains(&member);
            let heard = self.heard_life(node, other.of);
            // An engine that was wiped since, and has not been heard since, cannot be known to be.
            let is_known = heard > 0 && !other.is_damaged && heard >= other.damaged_in && !other.has_departed;
            if counts && is_known && !other.disk.has(of, place, &digest) {
                return Err(format!(
                    "{} counts {member}, and {} does not have {of} {place:?}",
                    viewer.of, other.of
                ));
            }
        }
        Ok(())
    }

    /// The newest life of an engine that another has heard since it started.
    fn heard_life(&self, node: usize, of: EngineOf) -> u32 {
        let viewer = &self.nodes[node];
        if viewer.of == of {
            return viewer.process.as_ref().map_or(0, |process| process.epoch);
        }
        let was_heard = viewer.process.as_ref().is_some_and(|process| process.heard.contains_key(&of));
        if was_heard { viewer.heard_lives.get(&of).copied().unwrap_or(0) } else { 0 }
    }
}
