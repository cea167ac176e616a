//! What the exchange takes from the journal before the journal's thread has it.

use super::driver::{self, Parts, RunningExchange};
use crate::replication::EngineOf;
use crate::server::StartError;
use crate::server::clock;
use crate::server::config::EngineConfig;
use crate::server::journal::{Hear, JournalHandle, News, Opened};
use crate::server::keys::SigningKey;
use crate::state::State;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Commits that wait for the exchange's thread. Where they do not fit, the journal waits, so that none is missed.
const NEWS_MAX: usize = 256;

/// An exchange that can be started.
pub(in crate::server) struct Prepared {
    parts: Box<dyn FnOnce(JournalHandle) -> Parts>,
    has_joined: bool,
}

impl Prepared {
    /// Whether this engine was live before: then it is live at once, and says how old its state is.
    pub(in crate::server) fn has_joined(&self) -> bool {
        self.has_joined
    }

    pub(in crate::server) fn start(self, journal: JournalHandle) -> io::Result<RunningExchange> {
        driver::start((self.parts)(journal))
    }
}

/// Prepares the exchange, where the configuration names one, and what the journal tells it through.
pub(in crate::server) fn prepare(
    config: &EngineConfig,
    opened: &Opened,
    keys_dir: &Path,
    state: &Arc<State>,
) -> Result<Option<(Prepared, Hear)>, StartError> {
    let Some(link) = config.exchange.clone() else { return Ok(None) };
    let signing = SigningKey::load(keys_dir)?;
    let (tell, news) = mpsc::channel(NEWS_MAX);
    let (me, lives, has_joined) = (opened.origin(), opened.lives(), opened.has_joined()?);
    let others = lives.iter().filter(|(of, _)| *of != EngineOf::of(me));
    let moment = clock::moment();
    let wall = u64::try_from(moment.now.ms()).unwrap_or(0);
    // How old the newest record of another engine is: nothing newer is known at the start.
    let newest = others.map(|(_, head)| head.stamp).max();
    state.exchange.begin(moment, newest.map_or(u64::MAX, |newest| wall.saturating_sub(newest)));
    let hear: Hear = Box::new(move |one: News| {
        // Where the exchange's thread has ended, what is durable is sent after the next start.
        let _ = tell.blocking_send(one);
    });
    let state = state.clone();
    let parts = Box::new(move |journal| Parts { link, me, lives, has_joined, journal, news, state, signing });
    Ok(Some((Prepared { parts, has_joined }, hear)))
}
