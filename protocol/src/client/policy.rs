//! What a gateway does when there is no decision: its own written policy, for every kind of payment.

use crate::codes::Kind;

/// What to do with a payment that was not screened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Let it pass: fail open.
    Approve,
    /// Ask for strong authentication.
    Challenge,
    /// Hold it before execution.
    Hold,
    /// Do not carry it out: fail closed.
    Decline,
}

impl Fallback {
    /// The name in configuration and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Challenge => "challenge",
            Self::Hold => "hold",
            Self::Decline => "decline",
        }
    }

    /// The fallback of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Approve, Self::Challenge, Self::Hold, Self::Decline].into_iter().find(|one| one.name() == name)
    }
}

/// A fallback for every kind. There is no default: somebody has to have decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailPolicy([Fallback; Kind::ALL.len()]);

impl FailPolicy {
    /// A policy that says something about every kind; a `match` without a wildcard keeps it complete.
    pub fn by_kind(decide: impl Fn(Kind) -> Fallback) -> Self {
        Self(std::array::from_fn(|at| decide(Kind::ALL[at])))
    }

    /// A policy from `kind = "fallback"` pairs, as configuration files have them. The error names what is missing
    /// or unknown.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut policy = [None; Kind::ALL.len()];
        for (kind, fallback) in pairs {
            let known =
                Kind::parse(kind).ok_or_else(|| format!("fail policy: no kind is called {kind:?}"))?;
            let fallback = Fallback::parse(fallback).ok_or_else(|| {
                format!("fail policy for {kind}: {fallback:?} is none of approve, challenge, hold, decline")
            })?;
            policy[known as usize - 1] = Some(fallback);
        }
        let missing: Vec<&str> = Kind::ALL
            .iter()
            .zip(&policy)
            .filter(|(_, fallback)| fallback.is_none())
            .map(|(kind, _)| kind.name())
            .collect();
        if missing.is_empty() {
            Ok(Self(policy.map(|fallback| fallback.unwrap_or(Fallback::Decline))))
        } else {
            Err(format!("fail policy: nothing is said about {}", missing.join(", ")))
        }
    }

    /// What to do with a payment of this kind that was not screened.
    pub fn for_kind(&self, kind: Kind) -> Fallback {
        self.0[kind as usize - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_something_about_every_kind_or_does_not_load() {
        let all = || Kind::ALL.iter().map(|kind| (kind.name(), "hold"));
        let policy = FailPolicy::from_pairs(all().chain([("reversal", "approve")])).expect("complete");
        assert_eq!(policy.for_kind(Kind::Instant), Fallback::Hold);
        assert_eq!(policy.for_kind(Kind::Reversal), Fallback::Approve);
        for (pairs, expected) in [
            (all().skip(2).collect::<Vec<_>>(), "fail policy: nothing is said about card_payment, invoice"),
            (all().chain([("cheque", "hold")]).collect(), "fail policy: no kind is called \"cheque\""),
            (
                all().chain([("refund", "open")]).collect(),
                "fail policy for refund: \"open\" is none of approve, challenge, hold, decline",
            ),
        ] {
            assert_eq!(FailPolicy::from_pairs(pairs).expect_err("refused"), expected);
        }
    }
}
