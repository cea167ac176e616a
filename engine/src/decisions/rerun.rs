//! Deciding a logged request again, on what it was decided on: the same comes out, or something is wrong.

use super::Logged;
use crate::decision::{self, Floor};
use crate::facts::{Facts, Wanted};
use crate::request::Keyring;
use crate::rules::{Hits, RuleExplanation, RuleSet};
use crate::velocity::Observed;
use sparr_protocol::response::{Decided, Degraded, Why};
use sparr_protocol::time::Timestamp;

/// What running a logged request again came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// The decision.
    pub decided: Result<Decided, Why>,
    /// What differs from the log, by name: `outcome`, `review`, `score`, `reasons`, `hits`, `rule_set_digest`, `basis`.
    pub differs: Vec<&'static str>,
}

/// What is gathered of a logged request, for as long as `with` looks at it.
fn with_facts<R>(
    logged: &Logged,
    set: &RuleSet,
    keyring: &Keyring,
    with: impl FnOnce(&Facts<'_>, Timestamp) -> R,
) -> Option<R> {
    let (kept, basis) = (logged.request.as_ref()?, logged.basis.as_ref()?);
    // Readings by place mean nothing in another plan.
    (basis.readings.len() == set.plan().readings()).then_some(())?;
    let request = kept.request();
    let observed_since = vec![Observed::since(Timestamp::MIN); set.plan().keys().len()];
    let wanted = Wanted {
        plan: set.plan(),
        observed_since: &observed_since,
        rates: set.rates(),
        zone: set.zone(),
        began: Timestamp::MIN,
    };
    let known = (basis.flags.as_slice(), basis.indicators.as_slice());
    let facts = Facts::recorded(&request, &wanted, keyring, known, &basis.readings);
    Some(with(&facts, basis.now))
}

/// Runs a logged request again with the rule set that decided it. `None` where no rule was asked.
pub fn rerun(logged: &Logged, set: &RuleSet, keyring: &Keyring) -> Option<Rerun> {
    let basis = logged.basis.as_ref()?;
    let mut differs = Vec::new();
    let mut hits = Hits::default();
    let decided = with_facts(logged, set, keyring, |facts, now| {
        if logged.response.degraded.contains(Degraded::SHADOW_SHED) {
            set.evaluate_enforced(facts, now, &mut hits);
        } else {
            set.evaluate(facts, now, &mut hits);
        }
        let floor = Floor::of(facts, now, basis.verify_unavailable, basis.of_this_payment);
        let silent: Vec<usize> = basis.silent.iter().map(|place| usize::from(*place)).collect();
        decision::fold_exempted(set, &hits, floor, &silent, &mut Vec::new()).map(|(decided, _)| decided)
    });
    let Some(decided) = decided else {
        differs.push("basis");
        return Some(Rerun { decided: Err(Why::RuleError), differs });
    };
    let was = logged.response.answer.map_err(|not_screened| not_screened.why);
    let mut compare = |what: &'static str, same: bool| {
        if !same {
            differs.push(what);
        }
    };
    match (&was, &decided) {
        (Ok(was), Ok(is)) => {
            compare("outcome", was.outcome == is.outcome);
            compare("review", was.review == is.review);
            compare("score", was.score == is.score);
            compare("reasons", was.reasons == is.reasons);
        }
        (was, is) => compare("outcome", was == is),
    }
    let same = |logged: &[u16], now: &[usize]| {
        logged.iter().map(|place| usize::from(*place)).eq(now.iter().copied())
    };
    compare("hits", same(&basis.enforced, &hits.enforced) && same(&basis.shadow, &hits.shadow));
    compare("rule_set_digest", logged.response.rule_set_digest == set.digest());
    Some(Rerun { decided, differs })
}

/// What each rule made of a logged request, part by part, with the values of then.
pub fn explain(logged: &Logged, set: &RuleSet, keyring: &Keyring) -> Option<Vec<RuleExplanation>> {
    with_facts(logged, set, keyring, |facts, now| set.explain(facts, now))
}
