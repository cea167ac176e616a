//! A link with a name, and what it has said so far.

use sparr_engine::server::config::LinkConfig;
use sparr_engine::server::link::{Link, LinkEvent, Slot};
use sparr_protocol::ids::MemberName;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a test waits for what must come before it gives up.
const PATIENCE: Duration = Duration::from_secs(40);

/// A member and its engine.
pub(crate) fn engine(name: &str) -> (MemberName, u16) {
    (MemberName::parse(name).expect("a name"), 1)
}

/// How an engine reaches one server, without replicas.
pub(crate) fn to(url: String) -> LinkConfig {
    let (servers, network) = (vec![url], "test".to_owned());
    LinkConfig { servers, network, replicas: 1, credentials: None, tls: None }
}

/// See the module.
pub(crate) struct Probe {
    pub(crate) link: Link,
    pub(crate) name: String,
    /// All that has come.
    pub(crate) events: Vec<LinkEvent>,
    ids: u64,
}

impl Probe {
    pub(crate) fn start(name: &str, config: LinkConfig) -> Self {
        Self::since(name, config, None)
    }

    pub(crate) fn since(name: &str, config: LinkConfig, since: Option<Timestamp>) -> Self {
        Self {
            link: Link::start(config, engine(name), since),
            name: name.to_owned(),
            events: Vec::new(),
            ids: 0,
        }
    }

    /// A link that is up and has read what was there.
    pub(crate) async fn ready(name: &str, config: LinkConfig) -> Self {
        let mut probe = Self::start(name, config);
        probe.until_caught_up().await;
        probe
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> LinkEvent {
        let event = tokio::time::timeout(PATIENCE, self.link.next()).await;
        let event = event.unwrap_or_else(|_| panic!("{} waits in vain, after {}", self.name, self.story()));
        self.events.push(event.clone());
        event
    }

    /// Reads on until an event is there, which it gives back.
    pub(crate) async fn until(&mut self, found: impl Fn(&LinkEvent) -> bool) -> LinkEvent {
        loop {
            let event = self.next().await;
            if found(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn until_caught_up(&mut self) {
        self.until(|event| *event == LinkEvent::CaughtUp).await;
    }

    pub(crate) async fn until_down(&mut self) -> String {
        match self.until(|event| matches!(event, LinkEvent::Down { .. })).await {
            LinkEvent::Down { why } => why,
            other => panic!("{other:?}"),
        }
    }

    /// Reads on until a broadcast has come, if it has not.
    pub(crate) async fn until_broadcast(&mut self, text: &str) {
        let so = |event: &LinkEvent| matches!(event, LinkEvent::Broadcast(bytes) if bytes == text);
        if !self.events.iter().any(so) {
            self.until(so).await;
        }
    }

    /// Reads whatever comes within a moment.
    pub(crate) async fn listen(&mut self, moment: Duration) {
        // The end of the moment is what we wait for.
        let _ = tokio::time::timeout(moment, async {
            loop {
                let event = self.link.next().await;
                self.events.push(event);
            }
        })
        .await;
    }

    /// Broadcasts a text under the next id, which it gives back.
    pub(crate) fn broadcast(&mut self, slot: Slot, msg_id: Option<String>, text: &str) -> u64 {
        self.ids += 1;
        self.link.broadcast(self.ids, slot, msg_id, text.as_bytes().to_vec());
        self.ids
    }

    /// Broadcasts a record as often as it takes until the broker says that it has it, as an engine does.
    pub(crate) async fn store(&mut self, sequence: u64, text: &str) {
        loop {
            let id =
                self.broadcast(Slot::Records { sequence }, Some(format!("{}:1:{sequence}", self.name)), text);
            match self.until(|event| matches!(event, LinkEvent::Published { id: of, .. } if *of == id)).await
            {
                LinkEvent::Published { stored: true, .. } => return,
                // Not so fast: this would fill the memory with refusals.
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Broadcasts a heartbeat that the broker takes.
    pub(crate) async fn beat(&mut self, text: &str) {
        let id = self.broadcast(Slot::Beat, None, text);
        self.until(|event| *event == LinkEvent::Published { id, stored: true }).await;
    }

    /// All broadcasts, as texts, in their order.
    pub(crate) fn broadcasts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for event in &self.events {
            if let LinkEvent::Broadcast(bytes) = event {
                texts.push(std::str::from_utf8(bytes).expect("text"));
            }
        }
        texts
    }

    /// How many events are so.
    pub(crate) fn count(&self, so: impl Fn(&LinkEvent) -> bool) -> usize {
        self.events.iter().filter(|event| so(event)).count()
    }

    pub(crate) fn resets(&self) -> usize {
        self.count(|event| *event == LinkEvent::StreamReset)
    }

    /// Every broadcast of ours must be answered once; gives back how many were stored.
    pub(crate) fn answered_once(&self) -> usize {
        let mut answers = BTreeMap::new();
        for event in &self.events {
            if let LinkEvent::Published { id, stored } = event {
                assert_eq!(answers.insert(*id, *stored), None, "{id} was answered twice");
            }
        }
        assert!(
            answers.keys().copied().eq(1..=self.ids),
            "{} answers for {} broadcasts",
            answers.len(),
            self.ids
        );
        answers.values().filter(|stored| **stored).count()
    }

    /// What has come, without the broadcasts.
    pub(crate) fn story(&self) -> String {
        let told = |event: &LinkEvent| match event {
            LinkEvent::Broadcast(_) | LinkEvent::Published { .. } => None,
            LinkEvent::Up { server } => Some(format!("Up {}", server.name)),
            other => Some(format!("{other:?}")),
        };
        let lines: Vec<String> = self.events.iter().filter_map(told).collect();
        format!("{} broadcasts and {}", self.broadcasts().len(), lines.join(", "))
    }
}

/// Runs a test's story on a runtime like that of an engine.
pub(crate) fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(story)
}
