//! The link's task: connects, looks at the stream, reads and publishes until something is wrong, and begins again.

use super::connect::{ANSWER_WITHIN, Connection, connect, reasons};
use super::names::Names;
use super::reader::Reader;
use super::stream::{self, Seen};
use super::writer::{To, Writer, refuse_all};
use super::{Ends, LinkEvent, Outgoing, ServerFacts};
use crate::server::clock;
use crate::server::config::LinkConfig;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::{Context, ContextBuilder};
use async_nats::{Subscriber, datetime};
use bytes::Bytes;
use futures_util::StreamExt as _;
use sparr_protocol::time::Timestamp;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// How often the stream is looked at while it is in use.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// First and longest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(800);

/// A connection that held this long was good: the next pause is the shortest again.
const GOOD_AFTER: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Courier {
    config: LinkConfig,
    names: Names,
    since: Option<Timestamp>,
    ends: Ends,
    outgoing: Receiver<Outgoing>,
    seen: Seen,
    writer: Writer,
}

/// All that is open over a connection while the link is up.
struct Session {
    context: Context,
    mailbox: Subscriber,
    own: Subscriber,
    reader: Reader,
    facts: ServerFacts,
}

impl Courier {
    pub(super) fn new(
        config: LinkConfig,
        names: Names,
        since: Option<Timestamp>,
        ends: Ends,
        outgoing: Receiver<Outgoing>,
    ) -> Self {
        let (seen, writer) = (Seen::default(), Writer::default());
        Self { config, names, since, ends, outgoing, seen, writer }
    }

    /// Goes on until nobody listens.
    pub(super) async fn run(mut self) {
        // Engines begin at different nodes.
        let mut server = usize::try_from(random() % 1_024).unwrap_or_default();
        let mut pause = PAUSE_MIN;
        let mut told = None;
        while !self.ends.events.is_closed() {
            let opened = tokio::select! {
                opened = open(&self.config, &self.names, self.since, &mut self.seen, server) => opened,
                () = refuse_all(&mut self.outgoing, &self.ends) => return,
            };
            let why = match opened {
                Ok((connection, session)) => {
                    told = None;
                    let begun = clock::instant();
                    let why = self.use_until_it_fails(connection, session).await;
                    if clock::instant().duration_since(begun) > GOOD_AFTER {
                        pause = PAUSE_MIN;
                    }
                    why
                }
                Err(why) => why,
            };
            if told.as_ref() != Some(&why) {
                told = Some(why.clone());
                if !self.ends.tell(LinkEvent::Down { why }).await {
                    return;
                }
            }
            server = server.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = refuse_all(&mut self.outgoing, &self.ends) => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn use_until_it_fails(&mut self, connection: Connection, session: Session) -> String {
        let Session { context, mut mailbox, mut own, reader, facts } = session;
        self.ends.shared.up.store(true, Ordering::Release);
        let reset = self.seen.take_reset().then_some(LinkEvent::StreamReset);
        for event in [Some(LinkEvent::Up { server: facts }), reset].into_iter().flatten() {
            self.ends.tell(event).await;
        }
        let stream = self.names.stream();
        let (client, ends, seen) = (&connection.client, &self.ends, &self.seen);
        let to = To { client, context: &context, ends, seen, stream: &stream };
        let why = tokio::select! {
            why = self.writer.run(&mut self.outgoing, to) => why,
            why = reader.run(ends, seen) => why,
            why = hand_on(&mut mailbox, ends, LinkEvent::Direct) => why,
            why = hand_on(&mut own, ends, LinkEvent::Own) => why,
            why = watch(&context, &self.names, seen) => why,
            () = connection.lost.notified() => "the connection is lost".to_owned(),
        };
        self.ends.shared.up.store(false, Ordering::Release);
        self.writer.give_up(&self.ends).await;
        connection.explain(why)
    }
}

/// Connects and gets everything ready. What it costs where it fails half-way goes away with the connection.
async fn open(
    config: &LinkConfig,
    names: &Names,
    since: Option<Timestamp>,
    seen: &mut Seen,
    server: usize,
) -> Result<(Connection, Session), String> {
    let server = config.servers.get(server % config.servers.len().max(1)).ok_or("no server is named")?;
    let connection = connect(config, names, server).await?;
    let ready = tokio::select! {
        ready = prepare(&connection, config, names, since, seen) => ready,
        () = connection.lost.notified() => Err("the connection is lost".to_owned()),
    };
    match ready {
        Ok(session) => Ok((connection, session)),
        Err(why) => Err(connection.explain(format!("{server}: {why}"))),
    }
}

async fn prepare(
    connection: &Connection,
    config: &LinkConfig,
    names: &Names,
    since: Option<Timestamp>,
    seen: &mut Seen,
) -> Result<Session, String> {
    let client = &connection.client;
    let context = ContextBuilder::new().timeout(ANSWER_WITHIN).build(client.clone());
    let info = stream::find_or_make(&context, config, names).await?;
    stream::usable(names, &info.config)?;
    let facts = stream::facts(&client.server_info(), config, names, &info.config);
    let lost = seen.lost(&info, seen.highest()).is_some() || seen.lost_our_beat(&context, names).await?;
    seen.begin(&info, lost);
    let listen = async |subject: String| client.subscribe(subject).await.map_err(|error| reasons(&error));
    let (mailbox, own) = (listen(names.my_mailbox()).await?, listen(names.own()).await?);
    let from = match seen.delivered.load(Ordering::Relaxed) {
        0 if seen.owes_a_reset() => DeliverPolicy::All,
        0 => beginning(since),
        place => DeliverPolicy::ByStartSequence { start_sequence: place + 1 },
    };
    let reader = Reader::open(client, &context, names, from, info.state.last_sequence).await?;
    Ok(Session { context, mailbox, own, reader, facts })
}

fn beginning(since: Option<Timestamp>) -> DeliverPolicy {
    let time = since.and_then(|since| datetime::from_nanos(i128::from(since.ms()) * 1_000_000).ok());
    time.map_or(DeliverPolicy::All, |start_time| DeliverPolicy::ByStartTime { start_time })
}

/// Hands on what comes outside of the stream.
async fn hand_on(from: &mut Subscriber, ends: &Ends, event: fn(Bytes) -> LinkEvent) -> String {
    while let Some(message) = from.next().await {
        if !ends.hand_on(event(message.payload)) {
            break;
        }
    }
    "the connection is closed".to_owned()
}

/// Looks at the stream now and then: whether it is there, and the one that it was.
async fn watch(context: &Context, names: &Names, seen: &Seen) -> String {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let highest = seen.highest();
        let found = match stream::look(context, names).await {
            Ok(Some(info)) => seen.lost(&info, highest).map(str::to_owned),
            Ok(None) => Some("it is gone".to_owned()),
            Err(why) => Some(why),
        };
        if let Some(why) = found {
            return format!("stream {}: {why}", names.stream());
        }
    }
}

/// Between half of a pause and all of it: engines that lost a broker together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    half + half * u32::try_from(random() % 1_000).unwrap_or_default() / 1_000
}

/// The standard library seeds its hash maps at random.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
