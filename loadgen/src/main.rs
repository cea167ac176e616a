//! `sparr-load`.
fn main() {}
