//! ISO 8583 (1987): what a card's message says, by a layout in `config/edge/`.
//!
//! Requests for authorisation and financial requests (0100, 0200) become card payments, refunds and the like by their
//! processing code; reversals and their advices (0400, 0420) become reversals. A repeat (0101, 0201 …) gives the same
//! request under the same id. Everything else is told apart and refused by name.
//!
//! The card's number never goes on: of it a request carries the first digits and, where the card zone has a key, a keyed
//! digest.

pub mod code;
pub mod layout;
pub mod message;
mod request;
pub mod tables;

pub use request::{CardKey, items};
pub use tables::Tables;
