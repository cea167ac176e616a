//! ISO 20022: credit transfers between banks (pacs.008), and as a customer orders them (pain.001), by a table in
//! `config/edge/`.
//!
//! Each transaction of a document is one request. Every other message is told apart by its name and refused. Accounts,
//! national identity numbers and contacts go into the fields that requests have for them; names do not, because a
//! request has none.

pub mod document;
mod parties;
mod request;
pub mod tables;
mod which;

pub use request::items;
pub use tables::Tables;
