//! What goes wrong.

use crate::authority::CENTRE;
use crate::node::{Node, member};
use crate::plan::{Control, Fault};
use crate::sim::{Event, Outcome, Sim};
use sparr_engine::replication::{Enforces, EngineOf};
use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName};
use sparr_protocol::record::Payload;
use std::rc::Rc;

impl Sim {
    /// A fault begins, where it can.
    pub(crate) fn fault(&mut self, fault: Fault) -> Outcome {
        if self.is_healed {
            return Ok(());
        }
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let (of, is_running) = (self.nodes[node].of, self.nodes[node].process.is_some());
        self.tell(|| format!("{fault:?} ({of})"));
        match fault {
            Fault::CutToBroker | Fault::CutFromBroker | Fault::CutBothWays => self.cut(node, fault),
            Fault::Paused if is_running => {
                let most = if self.random.chance(15) { 10_000 } else { 1_500 };
                self.nodes[node].paused_until = self.time + self.random.between(200, most);
                self.hit(fault);
            }
            Fault::ClockAhead | Fault::ClockBack => {
                let minutes = self.random.between(1, 5) as i64 * 60_000;
                self.nodes[node].skew += if fault == Fault::ClockAhead { minutes } else { -minutes };
                self.hit(fault);
            }
            Fault::Crashed if is_running => {
                self.hit(fault);
                self.crash(node, false);
            }
            Fault::CrashedAfterSync if is_running => self.nodes[node].dies_after_sync = true,
            Fault::JournalFailed if is_running && self.nodes[node].paused_until <= self.time => {
                return self.journal_fails(node);
            }
            Fault::Wiped => {
                self.hit(fault);
                self.replace_disk(node, false);
            }
            Fault::PutBack if self.nodes[node].backup.is_some() => {
                self.hit(fault);
                self.replace_disk(node, true);
            }
            Fault::BrokerDown => self.broker_dies(fault, 0),
            Fault::BrokerForgot => {
                let forgotten = self.random.between(1, 20) as usize;
                self.broker_dies(fault, forgotten);
            }
            Fault::StreamEmptied | Fault::StreamOlder => {
                self.hit(fault);
                match fault {
                    Fault::StreamEmptied => self.broker.empty(),
                    _ => self.broker.put_back(),
                }
                self.say_that_the_stream_is_another();
            }
            Fault::Joined => return self.join(),
            Fault::Left => self.leave(node),
            Fault::Suspended => return self.suspend(),
            Fault::Readmitted => {
                self.hit(fault);
                return self.admit(true);
            }
            // An engine that knows no member yet can check no signature: there it can be kept from coming in.
            Fault::ForgedPosition if !self.plan.all_configured => {}
            Fault::ForgedSeal
            | Fault::ForgedSignature
            | Fault::ForgedPosition
            | Fault::Stranger
            | Fault::NotPermitted => self.forge(fault, node),
            Fault::Paused
            | Fault::Crashed
            | Fault::CrashedAfterSync
            | Fault::JournalFailed
            | Fault::PutBack
            | Fault::MailLost
            | Fault::StreamLost
            | Fault::PublishLost
            | Fault::AnswerLost
            | Fault::Duplicated
            | Fault::Overtaken
            | Fault::SlotReplaced
            | Fault::JournalBusy
            | Fault::LifeBefore
            | Fault::LifeRenewed => {}
        }
        Ok(())
    }

    fn cut(&mut self, node: usize, fault: Fault) {
        self.hit(fault);
        let mended = self.time + self.random.between(100, 4_000);
        let noticed = self.time + self.random.between(200, 2_000);
        let link = &mut self.nodes[node].link;
        link.cut_up |= fault != Fault::CutFromBroker;
        link.cut_down |= fault != Fault::CutToBroker;
        let session = link.session;
        self.push(mended, Event::Mend { node });
        self.push(noticed, Event::LinkLost { node, session });
    }

    /// The disk is another one: empty, or as it was at an earlier time.
    fn replace_disk(&mut self, node: usize, put_back: bool) {
        self.crash(node, false);
        let node_at = &mut self.nodes[node];
        let backup = node_at.backup.clone().filter(|_| put_back).unwrap_or_default();
        let before: Vec<Rc<_>> = node_at.disk.records().cloned().collect();
        node_at.disk = backup;
        node_at.is_damaged = true;
        self.ledger.destroyed(&before, &self.nodes);
    }

    fn broker_dies(&mut self, fault: Fault, forgotten: usize) {
        if !self.broker.is_up {
            return;
        }
        self.hit(fault);
        self.broker.is_up = false;
        if forgotten > 0 {
            self.broker.forget_last(forgotten);
        }
        for node in 0..self.nodes.len() {
            let noticed = self.time + self.random.between(10, 2_000);
            let session = self.nodes[node].link.session;
            self.push(noticed, Event::LinkLost { node, session });
        }
        let back = self.time + self.random.between(200, 3_000);
        self.push(back, Event::BrokerBack);
    }

    fn say_that_the_stream_is_another(&mut self) {
        for node in 0..self.nodes.len() {
            let noticed = self.time + self.random.between(1, 1_000);
            let session = self.nodes[node].link.session;
            self.push(noticed, Event::Reset { node, session });
        }
    }

    /// An engine comes that was never there, of a member that was or was not.
    fn join(&mut self) -> Outcome {
        if self.nodes.len() >= 7 {
            return Ok(());
        }
        self.hit(Fault::Joined);
        let at = self.random.below(self.nodes.len() as u64) as usize;
        let name = if self.random.chance(50) { self.nodes[at].of.member } else { member("bank-9") };
        let engines = self.nodes.iter().filter(|node| node.of.member == name).count();
        let node = self.add(name, engines as u16 + 1);
        self.restart(node)
    }

    /// Adds an engine that does not run yet.
    pub(crate) fn add(&mut self, member: MemberName, engine: u16) -> usize {
        self.nodes.push(Node::new(EngineOf { member, engine }));
        self.nodes.len() - 1
    }

    /// An engine goes for good, and its disk with it. The central organisation's first one stays.
    fn leave(&mut self, node: usize) {
        let staying = self.nodes.iter().filter(|node| !node.has_departed).count();
        if node == 0 || staying < 3 || self.nodes[node].has_departed {
            return;
        }
        self.hit(Fault::Left);
        self.crash(node, true);
        self.nodes[node].has_departed = true;
        let before: Vec<Rc<_>> = self.nodes[node].disk.records().cloned().collect();
        self.ledger.destroyed(&before, &self.nodes);
    }

    fn suspend(&mut self) -> Outcome {
        let others: Vec<MemberName> =
            self.nodes.iter().map(|node| node.of.member).filter(|name| name.as_str() != CENTRE).collect();
        let is_live = self.nodes[0].process.as_ref().is_some_and(|process| process.is_joined);
        let Some(whom) = self.random.pick(&others).copied().filter(|_| is_live) else { return Ok(()) };
        self.hit(Fault::Suspended);
        self.operations += 1;
        let actor = Actor::new(member(CENTRE), Role::Centre, "person-1").expect("legal");
        let payload = Payload::MemberSuspended { member: whom, why: "x".to_owned() };
        let again = self.time + self.random.between(300, 4_000);
        self.push(again, Event::Fault(Fault::Readmitted));
        self.commit(0, vec![(actor, self.operations, payload)])
    }

    /// An engine starts, in a new life.
    pub(crate) fn restart(&mut self, node: usize) -> Outcome {
        if self.nodes[node].process.is_some() || self.nodes[node].has_departed {
            return Ok(());
        }
        let is_forgotten = self.control == Control::EpochForgotten && self.nodes[node].is_damaged;
        let last = self.nodes[node].disk.epoch;
        let is_before =
            self.control == Control::None && self.nodes[node].is_damaged && self.random.chance(50);
        let unused = (last + 1..self.epochs).find(|epoch| !self.lives_before.contains(&(node, *epoch)));
        let epoch = match unused.filter(|_| is_before) {
            _ if is_forgotten && last > 0 => last,
            Some(epoch) => {
                self.hit(Fault::LifeBefore);
                self.lives_before.insert((node, epoch));
                epoch
            }
            None => self.next_epoch(),
        };
        let number = self.number();
        let base = self.random.below(1_000_000);
        let time = self.time;
        let after_all = if epoch < self.epochs { self.epochs + 1 } else { epoch };
        let damaged_in = self.nodes[node].is_damaged.then_some(after_all);
        self.nodes[node].start(&self.network, number, epoch, base, time);
        self.nodes[node].damaged_in = damaged_in.unwrap_or(self.nodes[node].damaged_in);
        let of = self.nodes[node].of;
        self.tell(|| format!("{of} starts in life {epoch}"));
        if let Some(process) = &mut self.nodes[node].process {
            process.replica.handle_enforces(Enforces { rule_set: [5; 16], screens: 1 });
        }
        let linked = self.time + self.random.between(1, 100);
        self.push(linked, Event::Relink { node });
        self.drive(node)
    }
}
