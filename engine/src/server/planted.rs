//! Lays out the people whom nobody is, from the configuration.

use super::clock;
use super::config::EngineConfig;
use super::engine::{StartError, io_error};
use crate::request::ValueKind;
use crate::state::State;
use sparr_protocol::identity::Subject;
use sparr_protocol::ids::Pseudonym;
use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Honey numbers and the canary, where the configuration names any.
pub(super) fn lay_out(config: &EngineConfig, state: &State) -> Result<(), StartError> {
    if let Some(file) = &config.honey_numbers {
        state.honey.lay_out(honey_numbers(file, state)?);
    }
    // The number was read once already, when the configuration was checked.
    let canary =
        config.canary.as_ref().map(|number| Subject::parse_swedish(number.expose(), clock::moment().today));
    if let Some(Ok(person)) = canary {
        state.canary.lay_out(state.keyring.live(ValueKind::Subject, person.canonical()));
    }
    Ok(())
}

/// Reads numbers that nobody was ever given. What is no number at all is an error: it would never be asked about.
fn honey_numbers(file: &Path, state: &State) -> Result<HashSet<Pseudonym>, StartError> {
    let text = std::fs::read_to_string(file).map_err(io_error(file.display().to_string()))?;
    let today = clock::moment().today;
    let mut honey = HashSet::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = Subject::parse_swedish(line.trim(), today).map_err(|error| {
            let error = io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", at + 1));
            io_error(file.display().to_string())(error)
        })?;
        let live = state.keyring.live(ValueKind::Subject, number.canonical());
        honey.extend(live.iter().map(|(_, pseudonym)| pseudonym));
    }
    Ok(honey)
}
