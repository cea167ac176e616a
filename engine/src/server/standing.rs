//! How the exchange stands, as answers: where a flag is enforced, who is there, who lacks what.

use crate::flags::Flag;
use crate::replication::{Enforced, EngineStatus, Held};
use crate::state::{Moment, State};
use crate::version::Version;
use sparr_protocol::exchange::{Enforcement, EngineEntry, ExchangeEntry, HeldBack, MISSING_NAMED_MAX, Said};

fn narrow<T: TryFrom<u64>>(value: u64, most: T) -> T {
    T::try_from(value).unwrap_or(most)
}

/// Where the newest record of a flag is enforced; nothing where this engine is the exchange.
pub(super) fn enforcement(flag: &Flag, state: &State) -> Option<Said> {
    if !state.exchange.is_networked() {
        return None;
    }
    let raised = flag.raised.map(|raise| raise.version);
    let lifted = flag.lifted.map(|(lift, _)| lift);
    let newest: Version = raised.max(lifted)?;
    let Enforced { at, held, of, ms, slowest, missing } = state.exchange.view().enforced(newest.place());
    let count = |number: usize| narrow(number as u64, u16::MAX);
    Some(Said::Enforcement(Box::new(Enforcement {
        at: count(at),
        held: count(held),
        of: count(of),
        took_ms: ms.map(|ms| narrow(ms, u32::MAX - 1)),
        slowest,
        missing: missing.into_iter().take(MISSING_NAMED_MAX).collect(),
    })))
}

/// The exchange, then each engine, then what the broker does not promise.
pub(super) fn exchange(state: &State, moment: Moment) -> Vec<Said> {
    let view = state.exchange.view();
    let networked = state.exchange.is_networked();
    let mut said = vec![Said::Exchange(Box::new(ExchangeEntry {
        networked,
        linked: view.linked,
        joined: view.joined || !networked,
        staleness_ms: state.staleness_ms(moment),
        waiting: view.waiting,
        gaps: view.gaps,
        questions: view.questions,
        repaired: view.repaired,
        refused: view.refused,
    }))];
    said.extend(view.engines.iter().map(|engine| Said::Engine(Box::new(entry(engine)))));
    let remarks = state.exchange.broker();
    said.extend(remarks.iter().flat_map(|remarks| remarks.iter()).map(|remark| Said::Line(remark.clone())));
    said.push(Said::End);
    said
}

fn entry(engine: &EngineStatus) -> EngineEntry {
    let EngineStatus {
        of,
        is_own,
        last,
        digest,
        heard_ms,
        is_live,
        behind_ms,
        held,
        lacks,
        rule_set,
        screens: _,
    } = engine;
    let ms = |ms: Option<u64>| ms.map(|ms| narrow(ms, u32::MAX - 1));
    EngineEntry {
        member: of.member,
        engine: of.engine,
        epoch: last.epoch,
        sequence: last.sequence,
        digest: *digest,
        is_own: *is_own,
        is_live: *is_live,
        heard_ms: ms(*heard_ms),
        behind_ms: ms(*behind_ms),
        held_back: held.map(held_back),
        lacks: *lacks,
        rule_set: *rule_set,
    }
}

fn held_back(held: Held) -> HeldBack {
    match held {
        Held::UnknownMember => HeldBack::UnknownMember,
        Held::Suspended => HeldBack::Suspended,
        Held::SignatureWrong => HeldBack::SignatureWrong,
        Held::NotPermitted => HeldBack::NotPermitted,
        Held::ClockAhead => HeldBack::ClockAhead,
        Held::NotUnderstood => HeldBack::NotUnderstood,
        Held::Damaged => HeldBack::Damaged,
        Held::Forked => HeldBack::Forked,
    }
}
