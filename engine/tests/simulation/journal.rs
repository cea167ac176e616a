//! The journal's thread of an engine: what is durable acts, and is said.

use crate::node::{Job, Queued};
use crate::plan::{Control, Fault};
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::journal::Sealed;
use sparr_engine::replication::{EngineOf, EpochHead};
use sparr_protocol::record::{Commit, Payload};

impl Sim {
    /// Records of another engine, or of an earlier life, come in: they act, and are written after that, unless the journal
    /// has no time for them or had none for those before.
    pub(crate) fn arrives(&mut self, node: usize, commit: Commit, records: Vec<Sealed>) -> Outcome {
        let origin = commit.origin;
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let number = process.number;
        let waiting = process.jobs.iter().rev().map(|queued| queued.job.parts().0);
        let waiting =
            waiting.filter(|waiting| waiting.origin == origin).map(|waiting| waiting.last_sequence).next();
        let last = waiting.unwrap_or_else(|| self.nodes[node].disk.last(EngineOf::of(origin), origin.epoch));
        let comes_next = records.first().is_some_and(|first| first.record.sequence == last + 1);
        let has_time = self.is_healed || !self.random.chance(1);
        if !has_time {
            self.hit(Fault::JournalBusy);
        }
        if comes_next && has_time {
            self.act(node, &records)?;
            self.queue(node, Job::Foreign { commit, records });
        } else {
            let (of, process, time) = (EngineOf::of(origin), number, self.time + 1);
            self.push(time, Event::NotStored { node, process, of, head: head_of(&commit, &records) });
        }
        Ok(())
    }

    /// The journal has not taken records in.
    pub(crate) fn not_stored(&mut self, node: usize, process: u64, of: EngineOf, head: EpochHead) -> Outcome {
        if !self.runs(node, process) {
            return Ok(());
        }
        let now = self.now(node);
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.handle_stored(of, head, false, now);
        }
        self.drive(node)
    }

    /// The journal has done its oldest job.
    pub(crate) fn journal_done(&mut self, node: usize, process: u64, number: u64) -> Outcome {
        if !self.runs(node, process) {
            return Ok(());
        }
        let Some(running) = &mut self.nodes[node].process else { return Ok(()) };
        if running.jobs.front().is_none_or(|queued| queued.number != number) {
            // After two pauses jobs may end in another order than they began: the disk keeps theirs.
            if running.jobs.iter().any(|queued| queued.number == number) {
                self.push(self.time + 1, Event::Journal { node, process, job: number });
            }
            return Ok(());
        }
        let Some(Queued { job, .. }) = running.jobs.pop_front() else { return Ok(()) };
        let (commit, records) = job.parts();
        self.nodes[node].disk.append(commit, records);
        let is_own = matches!(job, Job::Own { .. });
        if is_own && std::mem::take(&mut self.nodes[node].dies_after_sync) {
            self.hit(Fault::CrashedAfterSync);
            self.crash(node, false);
            return Ok(());
        }
        let now = self.now(node);
        match &job {
            Job::Own { commit, records } => {
                self.act(node, records)?;
                let time = self.time;
                for sealed in records {
                    if let Some(made) = self.ledger.made.get_mut(&sealed.digest) {
                        made.acknowledged.get_or_insert(time);
                    }
                }
                if let Some(process) = &mut self.nodes[node].process {
                    process.replica.handle_committed(commit, records, now);
                }
            }
            Job::Foreign { commit, records } => {
                let of = EngineOf::of(commit.origin);
                let head = head_of(commit, records);
                let is_own_life = of == self.nodes[node].of;
                let epoch = self.nodes[node].process.as_ref().map_or(0, |process| process.epoch);
                let is_new = |node: &crate::node::Node| {
                    node.process.as_ref().is_some_and(|process| process.writer.is_new())
                };
                if is_own_life && is_new(&self.nodes[node]) {
                    let writer = self.nodes[node].writer(epoch);
                    if let Some(process) = &mut self.nodes[node].process {
                        process.writer = writer;
                    }
                }
                if let Some(process) = &mut self.nodes[node].process {
                    process.replica.handle_stored(of, head, true, now);
                }
            }
        }
        self.drive(node)
    }

    /// Records that are durable at an engine act there.
    fn act(&mut self, node: usize, records: &[Sealed]) -> Outcome {
        let of = self.nodes[node].of;
        for sealed in records {
            if !self.ledger.made.contains_key(&sealed.digest) {
                return Err(format!("{of} applied a record that nobody made: {:?}", sealed.record));
            }
            if let Some(process) = &mut self.nodes[node].process {
                process.apply(sealed);
            }
        }
        let concerns_indicators = records.iter().any(|sealed| {
            matches!(
                sealed.record.payload,
                Payload::PoliceReceipt { .. }
                    | Payload::IndicatorShared { .. }
                    | Payload::IndicatorDrafted { .. }
            )
        });
        if concerns_indicators { self.check_indicators(node) } else { Ok(()) }
    }

    /// A write fails: nothing that waits is acknowledged, the journal is read again, and goes on in a new life.
    pub(crate) fn journal_fails(&mut self, node: usize) -> Outcome {
        self.hit(Fault::JournalFailed);
        self.begin_again(node)
    }

    fn begin_again(&mut self, node: usize) -> Outcome {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let jobs = std::mem::take(&mut process.jobs);
        let mut is_written = self.random.chance(40);
        for Queued { job, .. } in &jobs {
            // Some of it may be there after all.
            if is_written {
                let (commit, records) = job.parts();
                self.nodes[node].disk.append(commit, records);
                self.act(node, records)?;
                is_written = self.random.chance(40);
            } else {
                break;
            }
        }
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.jobs_until = self.time;
        self.begin_life(node);
        // What came from others waits for the disk to be well again.
        for Queued { job, .. } in jobs {
            if matches!(job, Job::Foreign { .. }) {
                self.queue(node, job);
            }
        }
        self.drive(node)
    }

    /// Others have heard of a later life: the engine goes on in one that is later still. What it gave to the journal before
    /// is written first there; here some of it is not written at all, which is harder.
    pub(crate) fn renew(&mut self, node: usize, above: u32) -> Outcome {
        let is_earlier = |process: &crate::node::Process| process.epoch <= above;
        if !self.nodes[node].process.as_ref().is_some_and(is_earlier)
            || self.control == Control::EpochForgotten
        {
            return Ok(());
        }
        if self.nodes[node].damaged_in == 0 {
            return Err(format!(
                "{} begins a life above {above}, and its disk is the one it had",
                self.nodes[node].of
            ));
        }
        self.hit(Fault::LifeRenewed);
        self.begin_again(node)
    }

    fn begin_life(&mut self, node: usize) {
        let epoch = self.next_epoch();
        let of = self.nodes[node].of;
        let heads: Vec<EpochHead> = self.nodes[node]
            .disk
            .heads()
            .into_iter()
            .filter(|(known, _)| *known == of)
            .map(|(_, head)| head)
            .collect();
        let writer = self.nodes[node].writer(epoch);
        self.nodes[node].disk.epoch = epoch;
        self.tell(|| format!("{of} goes on in life {epoch}"));
        let Some(process) = &mut self.nodes[node].process else { return };
        (process.writer, process.epoch) = (writer, epoch);
        // What the life before had sent is not waited for.
        process.unanswered.clear();
        process.replica.handle_epoch(epoch, &heads);
    }

    /// An engine stops where it stands. What was not durable is gone.
    pub(crate) fn crash(&mut self, node: usize, stays_down: bool) {
        let is_written = self.random.chance(30);
        let node_at = &mut self.nodes[node];
        let Some(process) = node_at.process.take() else { return };
        if let Some(Queued { job, .. }) = process.jobs.front().filter(|_| is_written) {
            let (commit, records) = job.parts();
            node_at.disk.append(commit, records);
        }
        node_at.link.is_up = false;
        node_at.link.session += 1;
        node_at.link.delivered = 0;
        node_at.paused_until = 0;
        let of = node_at.of;
        self.tell(|| format!("{of} stopped"));
        if !stays_down {
            let time = self.time + self.random.between(20, 2_500);
            self.push(time, Event::Restart { node });
        }
    }
}

fn head_of(commit: &Commit, records: &[Sealed]) -> EpochHead {
    EpochHead {
        epoch: commit.origin.epoch,
        sequence: commit.last_sequence,
        digest: commit.head,
        stamp: records.last().map_or(0, |last| last.record.stamp),
    }
}
