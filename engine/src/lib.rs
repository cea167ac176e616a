//! The screening engine: what people asked for, how often each key was just seen, and what a risk team decided, asked
//! about every authorisation request.
//!
//! Read [`screen`] first; it is the sentence of which everything else is a word. `ARCHITECTURE.md` beside this crate
//! has the map.
//!
//! ```
//! use sparr_engine::decision::VerifyUnavailable;
//! use sparr_engine::ids::CallerNo;
//! use sparr_engine::policy::{Policy, Required, StaleAfter};
//! use sparr_engine::request::{Keyring, NetworkKey};
//! use sparr_engine::rules::{self, SourceFile, Sources};
//! use sparr_engine::screen::{Asked, Scratch, Stopped, Unobserved, screen};
//! use sparr_engine::state::{EngineClock, Moment, State, StateConfig};
//! use sparr_protocol::codes::{Kind, Outcome};
//! use sparr_protocol::frame::Next;
//! use sparr_protocol::ids::{MemberName, RequestId};
//! use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
//! use sparr_protocol::request::AuthorisationRequest;
//! use sparr_protocol::time::{Date, Timestamp};
//!
//! // A rule file, as a risk team writes it.
//! let file = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
//! let rule = "rules:\n  - id: second-in-a-minute\n    when: velocity(card, \"1m\").count >= 2\n    then: decline\n    reason: velocity_card\n";
//! let reasons = include_str!("../../config/reasons.toml");
//! let sources = Sources { rules: vec![file("rules.yaml", rule)], lists: vec![], reasons: file("reasons.toml", reasons) };
//!
//! // An engine's state: no files, no clock, no sockets.
//! let now = Timestamp::from_ms(1_795_348_800_000);
//! let moment = Moment { now, today: Date::new(2026, 11, 22), steady_ms: 0 };
//! let policy = Policy { required: Required::default(), verify_unavailable: VerifyUnavailable::Hold, cooling_off_ms: 0, stale_after: StaleAfter::default() };
//! let state = State::new(StateConfig {
//!     keyring: Keyring::new(NetworkKey::new(1, [7; 32].into()), None),
//!     policy,
//!     clock: EngineClock::Wall { began: now },
//!     member: MemberName::parse("my-company").expect("legal"),
//!     engine: 1,
//!     epoch: 1,
//!     velocity_keys_max: 1_000,
//!     ids_kept_max: 1_000,
//! });
//! state.activate(rules::load(&sources).set.expect("no finding is an error"), moment);
//! state.set_ready(true);
//!
//! // The same card twice: the second payment is one too many.
//! let outcomes = [1, 2].map(|number| {
//!     let mut request = AuthorisationRequest::new(RequestId([number; 16]), Kind::CardPayment, now);
//!     request.card_token = Some("tok_1".into());
//!     let mut bytes = Vec::new();
//!     request.encode(&mut bytes).expect("fits a frame");
//!     let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else { panic!("a whole frame") };
//!     let (_, message) = frame.open().expect("a sound frame");
//!     let asked = Asked { caller: CallerNo(0), moment, since_read: &Stopped, without_shadow: false };
//!     let active = state.rules();
//!     let answer = screen(message, asked, &state, active.as_deref(), &mut Scratch::default(), &mut Unobserved);
//!     answer.answer.expect("screened").outcome
//! });
//! assert_eq!(outcomes, [Outcome::Approve, Outcome::Decline]);
//! ```

pub mod aftermath;
pub mod backtest;
#[cfg(feature = "server")]
pub mod cli;
mod compact_index;
#[cfg(feature = "server")]
pub(crate) mod contract;
pub mod decision;
pub mod decisions;
pub mod distinct;
#[cfg(feature = "server")]
pub mod edge;
pub mod exchanged;
pub mod exemptions;
pub mod explain;
pub mod facts;
pub mod filter;
pub mod flags;
pub mod ids;
pub mod indicators;
pub mod journal;
pub mod limits;
pub mod members;
#[cfg(feature = "server")]
pub mod metrics;
pub(crate) mod pack;
pub mod planted;
pub mod policy;
mod prefetch;
pub mod recent;
pub mod replication;
pub mod request;
pub mod rights;
pub mod rules;
pub mod sandbox;
pub mod screen;
#[cfg(feature = "server")]
pub mod server;
pub mod snapshot;
pub mod state;
pub mod trial;
pub mod velocity;
pub mod version;
