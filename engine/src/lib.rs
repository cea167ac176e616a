//! The screening engine.
pub mod facts;
pub mod flags;
pub mod limits;
pub mod request;
pub mod rules;
pub mod velocity;
