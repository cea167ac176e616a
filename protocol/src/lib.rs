//! What crosses sparr's wire or reaches its disks: messages, values, identities. No logic of the engine, no clock.
//!
//! | to read first | |
//! |---|---|
//! | [`request`] | an authorisation request, as a client fills it in |
//! | [`response`] | the decision, or an honest "not screened (why)" |
//! | [`view`] | the request as an engine reads it, in place |
//! | [`identity`] | one person, one key: every legal spelling of a Swedish number |
//! | [`frame`] | length, version, kind, checksum |
//! | [`exchange`] | what desks, analysts, the police and the central organisation ask |
//! | [`indicator`] | what an indicator says, and its digest |
//! | [`record`] | what a journal keeps |
//!
//! `WIRE.md` beside this crate describes every byte, for clients in other languages.
//!
//! ```
//! use sparr_protocol::codes::Kind;
//! use sparr_protocol::frame::Next;
//! use sparr_protocol::ids::RequestId;
//! use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
//! use sparr_protocol::money::Currency;
//! use sparr_protocol::request::AuthorisationRequest;
//! use sparr_protocol::time::Timestamp;
//! use sparr_protocol::view::RequestView;
//!
//! let mut request = AuthorisationRequest::new(RequestId([7; 16]), Kind::Invoice, Timestamp::from_ms(1_522_540_831_000));
//! request.amount_minor = Some(57_16);
//! request.currency = Some(Currency::SEK);
//! request.subject = Some("19121212-1212".into());
//!
//! let mut bytes = Vec::new();
//! request.encode(&mut bytes)?;
//! let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else { panic!("one whole frame") };
//! let (_, message) = frame.open()?;
//! assert_eq!(RequestView::parse(message)?.amount_minor(), Some(57_16));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod account;
pub mod aftermath;
pub mod card;
#[cfg(feature = "client")]
pub mod client;
pub mod codec;
pub mod codes;
pub mod contact;
pub mod exchange;
pub mod exemption;
pub mod field;
pub mod flag;
pub mod frame;
pub mod identity;
pub mod identity_check;
pub mod ids;
pub mod indicator;
#[cfg(feature = "json")]
pub mod json;
pub mod limits;
pub mod member;
pub mod money;
pub mod personal;
pub mod place;
pub mod record;
pub mod request;
pub mod response;
#[cfg(feature = "json")]
pub mod shape;
mod spelled;
pub mod text;
pub mod time;
pub mod view;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod wire_tests;
