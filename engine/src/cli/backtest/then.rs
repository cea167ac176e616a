//! What was known at a time: labels and final results with the moment from which they were known on.

use crate::cli::CannotRun;
use crate::cli::aftermath_rows::{self, Told};
use sparr_protocol::aftermath::{Final, LabelClass};
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::collections::HashMap;
use std::path::Path;

/// What was known.
#[derive(Default)]
pub(super) struct Then {
    labels: Option<HashMap<String, (LabelClass, Timestamp)>>,
    /// Requests that the issuer declined, and when that was.
    pub(super) declined: HashMap<RequestId, Timestamp>,
    as_of: Option<Timestamp>,
}

fn whole<T>(file: &Path, told: Told<T>) -> Result<Vec<T>, CannotRun> {
    // Half of what is known would make figures that look whole.
    match told.rejected.first() {
        Some((line, why)) => Err(CannotRun(format!("{}: line {line}: {why}", file.display()))),
        None => Ok(told.rows.into_iter().map(|(_, row)| row).collect()),
    }
}

impl Then {
    /// Reads what is given, and leaves out what was not known then.
    pub(super) fn read(
        labels: Option<&Path>,
        results: Option<&Path>,
        as_of: Option<Timestamp>,
    ) -> Result<Self, CannotRun> {
        let was_known = |time: Timestamp| as_of.is_none_or(|as_of| time <= as_of);
        let mut then = Self { as_of, ..Self::default() };
        if let Some(file) = labels {
            let known: &mut HashMap<_, _> = then.labels.insert(HashMap::new());
            for label in whole(file, aftermath_rows::labels(file, None)?)? {
                let later = known.get(&label.payment_id).is_none_or(|(_, before)| *before <= label.known_at);
                if was_known(label.known_at) && later {
                    known.insert(label.payment_id, (label.class, label.known_at));
                }
            }
        }
        if let Some(file) = results {
            let mut results = whole(file, aftermath_rows::results(file, None)?)?;
            results.sort_by_key(|result| result.time);
            for result in results.into_iter().filter(|result| was_known(result.time)) {
                // The last word counts.
                match result.result {
                    Final::Declined => {
                        then.declined.insert(result.request_id, result.time);
                    }
                    Final::Authorised
                    | Final::ChallengeFailed
                    | Final::Abandoned
                    | Final::Reversed
                    | Final::Expired => {
                        then.declined.remove(&result.request_id);
                    }
                }
            }
        }
        Ok(then)
    }

    /// Whether there is a file of labels.
    pub(super) fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Whether a request had been made by then.
    pub(super) fn had_come(&self, time: Timestamp) -> bool {
        self.as_of.is_none_or(|as_of| time <= as_of)
    }

    /// Whether a request was known to be fraud, or to be good; `said` is what its own row says.
    pub(super) fn fraud(&self, request: &AuthorisationRequest, said: Option<bool>) -> Option<bool> {
        let Some(labels) = &self.labels else { return said };
        let label = request.payment_id.as_ref().and_then(|payment| labels.get(payment));
        label.map(|(class, _)| class.is_fraud())
    }
}
