//! An engine of its own in memory, with a clock that is set by hand: for tests of rule sets and for explaining a
//! request that was never sent.

use crate::decision::VerifyUnavailable;
use crate::flags::{Raise, Version};
use crate::ids::CallerNo;
use crate::policy::{Policy, Required, StaleAfter};
use crate::request::{KeyName, Keyring, NetworkKey, Request};
use crate::rules::{Code, Diagnostic, RuleExplanation, RuleSet, table};
use crate::screen::{Asked, Scratch, Stopped, Unobserved, screen};
use crate::state::{EngineClock, Moment, State, StateConfig};
use sparr_protocol::codes::{AuthMethod, FlagReason, Kind, RequestedBy, Wish};
use sparr_protocol::flag::{Methods, Scope, Terms};
use sparr_protocol::frame::Next;
use sparr_protocol::ids::{MemberName, RequestId};
use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
use sparr_protocol::money::Currency;
use sparr_protocol::request::{AuthorisationRequest, EncodeError};
use sparr_protocol::response::AuthorisationResponse;
use sparr_protocol::text::SetError;
use sparr_protocol::time::Timestamp;
use table::{Expected, Row, Table};

/// An engine without a journal, whose time is what it is told.
pub struct Trial {
    state: State,
    base: Currency,
    scratch: Scratch,
    flags: u64,
}

/// What became of one request.
pub struct Tried {
    /// The answer.
    pub response: AuthorisationResponse,
    /// Places of the enforced rules that hit.
    pub enforced: Vec<usize>,
    /// Places of the shadow rules that hit.
    pub shadow: Vec<usize>,
    /// What each rule that applies made of it, where that was asked for.
    pub explained: Vec<RuleExplanation>,
}

impl Trial {
    /// A trial of a rule set. Nobody has a flag and nothing was seen.
    pub fn new(set: RuleSet) -> Self {
        // What is tried holds no real person's number, so its key is nobody's secret.
        let state = State::new(StateConfig {
            keyring: Keyring::new(NetworkKey::new(0, Default::default()), None),
            policy: Policy {
                required: Required::default(),
                verify_unavailable: VerifyUnavailable::Hold,
                cooling_off_ms: 0,
                stale_after: StaleAfter::default(),
            },
            clock: EngineClock::Wall { began: Timestamp::MIN },
            member: MemberName::TRIAL,
            engine: 1,
            epoch: 1,
            velocity_keys_max: 1 << 20,
            ids_kept_max: 1 << 20,
        });
        let base = set.rates().base;
        let moment = Moment { now: table::START, today: table::START.date(), steady_ms: 0 };
        state.activate(set, moment);
        state.set_ready(true);
        Self { state, base, scratch: Scratch::default(), flags: 0 }
    }

    /// Screens a request as the engine would at `now`; with a flag that its person has raised before.
    pub fn screen(
        &mut self,
        request: &AuthorisationRequest,
        now: Timestamp,
        flag: Option<Wish>,
        explain: bool,
    ) -> Result<Tried, EncodeError> {
        let mut bytes = Vec::new();
        request.encode(&mut bytes)?;
        let mut message: &[u8] = &[];
        if let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX)
            && let Ok((_, inner)) = frame.open()
        {
            message = inner;
        }
        let moment = Moment { now, today: now.date(), steady_ms: 0 };
        if let Some(wish) = flag {
            self.raise(message, moment, wish);
        }
        let active = self.state.rules();
        let rules = active.as_deref();
        let asked = Asked { caller: CallerNo(0), moment, since_read: &Stopped, without_shadow: false };
        let response = screen(message, asked, &self.state, rules, &mut self.scratch, &mut Unobserved);
        let explained = match rules {
            Some(rules) if explain => {
                crate::explain::every_rule(message, moment, &self.state, rules).unwrap_or_default()
            }
            Some(_) | None => Vec::new(),
        };
        let hits = self.scratch.hits();
        Ok(Tried { response, enforced: hits.enforced.clone(), shadow: hits.shadow.clone(), explained })
    }

    fn raise(&mut self, message: &[u8], moment: Moment, wish: Wish) {
        let Ok(request) = Request::parse(message, &self.state.keyring, moment.today, moment.now) else {
            return;
        };
        let subject = request.key(KeyName::Subject, &self.state.keyring);
        let (Some(subject), Some(member)) = (subject, MemberName::parse("trial")) else { return };
        self.flags += 1;
        let version = Version { stamp: self.flags, member, engine: 1, epoch: 1, sequence: self.flags };
        let terms = Terms {
            wish,
            scope: Scope::Any,
            reason: FlagReason::Precaution,
            requested_by: RequestedBy::Person,
            authenticated_by: AuthMethod::InPerson,
            compromised: Methods::default(),
            valid_until: Timestamp::from_ms(i64::MAX),
        };
        self.state.stores.flags.raise(subject, member, Raise { version, terms });
    }

    /// The rule set.
    pub fn with_set<R>(&self, look: impl FnOnce(&RuleSet) -> R) -> Option<R> {
        self.state.rules().as_ref().map(|active| look(&active.set))
    }

    /// Plays a table. What comes out otherwise than it says is reported.
    pub fn play(&mut self, table: &Table, report: &mut Vec<Diagnostic>) {
        for (number, row) in (1u128..).zip(&table.rows) {
            let Some(request) = self.request(number, row, report) else { continue };
            match self.screen(&request, row.time, row.flag, false) {
                Ok(tried) => {
                    let differences =
                        self.with_set(|set| differences(&row.expected, &tried, set)).unwrap_or_default();
                    if !differences.is_empty() {
                        let message = format!("{}: this comes out otherwise", table.name);
                        let at = row.expected.at.unwrap_or(row.at);
                        report.push(
                            differences
                                .into_iter()
                                .fold(Diagnostic::new(Code::Test, at, message), |diagnostic, difference| {
                                    diagnostic.help(difference)
                                }),
                        );
                    }
                }
                Err(error) => {
                    let message = format!("this is no request: {error}");
                    report.push(Diagnostic::new(Code::TestForm, row.at, message));
                }
            }
        }
    }

    fn request(&self, number: u128, row: &Row, report: &mut Vec<Diagnostic>) -> Option<AuthorisationRequest> {
        let before = report.len();
        let mut request =
            AuthorisationRequest::new(RequestId(number.to_be_bytes()), Kind::CardPayment, row.time);
        for field in &row.fields {
            let problem = match request.set(&field.name, &field.value) {
                Ok(()) => continue,
                Err(SetError::UnknownField { nearest, .. }) => {
                    let message = format!("a request has no field called `{}`", field.name);
                    Diagnostic::new(Code::TestForm, field.name_at, message).did_you_mean(nearest)
                }
                Err(SetError::Value { expected, .. }) => {
                    let message = format!("`{}` is {expected}", field.name);
                    Diagnostic::new(Code::TestForm, field.value_at, message)
                }
            };
            report.push(problem);
        }
        if row.flag.is_some() && request.subject.is_none() {
            let message = "a flag is a person's: this request has no `subject`";
            report.push(Diagnostic::new(Code::TestForm, row.at, message));
        }
        if request.amount_minor.is_some() {
            request.currency.get_or_insert(self.base);
        }
        (report.len() == before).then_some(request)
    }
}

/// What comes out otherwise, in words.
fn differences(expected: &Expected, tried: &Tried, set: &RuleSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, came: String| {
        if let Some(expected) = expected.filter(|expected| *expected != came) {
            found.push(format!("{what}: expected {expected}, came to {came}"));
        }
    };
    let ids = |places: &[usize]| places.iter().map(|at| set.rules()[*at].id.clone()).collect::<Vec<_>>();
    match &tried.response.answer {
        Ok(decided) => {
            compare("outcome", expected.outcome.map(|it| it.name().into()), decided.outcome.name().into());
            compare("review", expected.review.map(|it| it.name().into()), decided.review.name().into());
            compare("score", expected.score.map(|it| it.to_string()), decided.score.to_string());
            let reasons = decided.reasons.iter().filter_map(|code| set.reasons().get(code));
            let reasons = reasons.map(|reason| reason.name.clone()).collect();
            compare("reasons", expected.reasons.clone().map(listed), listed(reasons));
            compare("not_screened", expected.not_screened.clone(), "a decision".to_owned());
        }
        Err(not_screened) => {
            let came = format!("not_screened ({})", not_screened.why.name());
            compare("outcome", expected.outcome.map(|it| it.name().into()), came.clone());
            compare("review", expected.review.map(|it| it.name().into()), came);
            compare("not_screened", expected.not_screened.clone(), not_screened.why.name().into());
        }
    }
    compare("hits", expected.hits.clone().map(listed), listed(ids(&tried.enforced)));
    compare("shadow", expected.shadow.clone().map(listed), listed(ids(&tried.shadow)));
    found
}

fn listed(mut names: Vec<String>) -> String {
    names.sort();
    names.dedup();
    format!("[{}]", names.join(", "))
}
