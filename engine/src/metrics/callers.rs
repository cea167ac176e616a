//! Who asks how much: by member and role, because one person's name is nobody's business here.

use sparr_protocol::codes::Role;
use sparr_protocol::ids::{Actor, MemberName};

/// Members and roles that are told apart; those after them count as one.
const CALLERS_MAX: usize = 256;

/// A member in one role. `None`: the others, for whom there was no place.
pub type Caller = Option<(MemberName, Role)>;

/// What one caller has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallerCounts {
    /// Requests that were decided.
    pub decided: u64,
    /// Requests that were not screened.
    pub not_screened: u64,
    /// Operations of the exchange, and refusals of them.
    pub operations: u64,
}

impl CallerCounts {
    /// Adds what another worker has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.decided += other.decided;
        self.not_screened += other.not_screened;
        self.operations += other.operations;
    }

    /// What came since.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            decided: self.decided.saturating_sub(before.decided),
            not_screened: self.not_screened.saturating_sub(before.not_screened),
            operations: self.operations.saturating_sub(before.operations),
        }
    }
}

/// Counts of all callers, and whose turn it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Callers {
    all: Vec<(Caller, CallerCounts)>,
    serving: usize,
}

impl Callers {
    /// What is counted from here on is this caller's.
    pub(super) fn serving(&mut self, actor: &Actor) {
        self.serving = self.place(Some((actor.member, actor.role)));
    }

    fn place(&mut self, caller: Caller) -> usize {
        let known = |all: &[(Caller, _)], caller| all.iter().position(|(one, _)| *one == caller);
        if let Some(place) = known(&self.all, caller) {
            return place;
        }
        let caller = caller.filter(|_| self.all.len() < CALLERS_MAX);
        known(&self.all, caller).unwrap_or_else(|| {
            self.all.push((caller, CallerCounts::default()));
            self.all.len() - 1
        })
    }

    /// The counts of who is being served; nobody's where nobody was named.
    pub(super) fn current(&mut self) -> &mut CallerCounts {
        if self.all.is_empty() {
            self.serving = self.place(None);
        }
        &mut self.all[self.serving].1
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (caller, counts) in &other.all {
            let place = self.place(*caller);
            self.all[place].1.add(counts);
        }
    }

    pub(super) fn all(&self) -> &[(Caller, CallerCounts)] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_counts_and_there_are_not_too_many() {
        let actor = |text: &str| Actor::parse_uri(text).expect("an actor");
        let (mut one, mut other) = (Callers::default(), Callers::default());
        one.current().operations += 1;
        for (is_first, uri, times) in [
            (true, "sparr://member/alfa/gateway/g1", 3),
            (true, "sparr://member/alfa/desk/d1", 2),
            (true, "sparr://member/alfa/gateway/g2", 4),
            (false, "sparr://member/alfa/gateway/g1", 10),
        ] {
            let callers = if is_first { &mut one } else { &mut other };
            callers.serving(&actor(uri));
            callers.current().decided += times;
        }
        one.add(&other);
        let told = |callers: &Callers| -> Vec<(Option<Role>, u64, u64)> {
            let line = |(caller, counts): &(Caller, CallerCounts)| {
                (caller.map(|(_, role)| role), counts.decided, counts.operations)
            };
            callers.all().iter().map(line).collect()
        };
        assert_eq!(told(&one), [(None, 0, 1), (Some(Role::Gateway), 17, 0), (Some(Role::Desk), 2, 0)]);
        for number in 0..1_000 {
            one.serving(&actor(&format!("sparr://member/m{number}/gateway/g")));
            one.current().decided += 1;
        }
        let decided: u64 = one.all().iter().map(|(_, counts)| counts.decided).sum();
        assert_eq!((one.all().len(), decided), (CALLERS_MAX, 1_019));
    }
}
