//! Without the feature `nats` an engine has an exchange of its own; a configuration that names another is refused before.

use crate::server::StartError;
use crate::server::config::EngineConfig;
use crate::server::journal::{Hear, JournalHandle, Opened};
use crate::state::State;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// There is none.
pub(in crate::server) struct Prepared(Infallible);

/// There is none.
pub(in crate::server) struct RunningExchange(Infallible);

impl Prepared {
    pub(in crate::server) fn has_joined(&self) -> bool {
        match self.0 {}
    }

    pub(in crate::server) fn start(self, _: JournalHandle) -> io::Result<RunningExchange> {
        match self.0 {}
    }
}

impl RunningExchange {
    pub(in crate::server) fn stop(self) {
        match self.0 {}
    }
}

pub(in crate::server) fn prepare(
    _: &EngineConfig,
    _: &Opened,
    _: &Path,
    _: &Arc<State>,
) -> Result<Option<(Prepared, Hear)>, StartError> {
    Ok(None)
}
