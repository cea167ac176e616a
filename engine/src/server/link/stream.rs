//! The stream: made where it is missing, read back, and compared with what was seen of it before.

use super::connect::reasons;
use super::names::Names;
use super::{ServerFacts, Slot};
use crate::server::config::LinkConfig;
use async_nats::ServerInfo;
use async_nats::datetime::DateTime;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{Context, ErrorCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Within this time the broker knows a message id again.
const DUPLICATES_KNOWN: Duration = Duration::from_secs(120);

/// The oldest version that lets its operator have every write synced before it is acknowledged.
const FIRST_WITH_SYNC_INTERVAL: (u32, u32) = (2, 10);

/// The stream as it should be.
fn wanted(config: &LinkConfig, names: &Names) -> Config {
    Config {
        name: names.stream(),
        subjects: vec![names.everything()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: 1,
        num_replicas: usize::from(config.replicas),
        duplicate_window: DUPLICATES_KNOWN,
        description: Some("sparr: records, positions and heartbeats of all engines".to_owned()),
        ..Config::default()
    }
}

/// Looks at the stream, or makes it. Two engines may make it at once: the broker takes equal ones for one, and who comes
/// too late with another configuration takes what is there.
pub(super) async fn find_or_make(
    context: &Context,
    config: &LinkConfig,
    names: &Names,
) -> Result<Info, String> {
    let named = |why: String| format!("stream {}: {why}", names.stream());
    if let Some(info) = look(context, names).await.map_err(named)? {
        return Ok(info);
    }
    let mut wanted = wanted(config, names);
    let mut made = context.create_stream(&wanted).await;
    let refused = |error: &async_nats::jetstream::context::CreateStreamError, code| {
        matches!(
            error.kind(),
            CreateStreamErrorKind::JetStream(error) if error.error_code() == code
        )
    };
    if made.as_ref().is_err_and(|error| refused(error, ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED)) {
        // A single node can have one copy alone; `facts` says so. In a cluster that lacks nodes we wait for them instead:
        // a stream that was once made with one copy would stay so.
        wanted.num_replicas = 1;
        made = context.create_stream(&wanted).await;
    }
    match made {
        Ok(stream) => Ok(stream.cached_info().clone()),
        Err(error) if refused(&error, ErrorCode::STREAM_NAME_EXIST) => {
            look(context, names).await.map_err(named)?.ok_or_else(|| named("came and went".to_owned()))
        }
        Err(error) => Err(named(reasons(&error))),
    }
}

/// The stream, where there is one.
pub(super) async fn look(context: &Context, names: &Names) -> Result<Option<Info>, String> {
    match context.get_stream(names.stream()).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(found) if found.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(reasons(&error)),
        },
    }
}

/// What a person must know about this broker and this stream.
pub(super) fn facts(server: &ServerInfo, config: &LinkConfig, names: &Names, found: &Config) -> ServerFacts {
    let mut remarks = Vec::new();
    if version(&server.version) < FIRST_WITH_SYNC_INTERVAL {
        remarks.push(format!(
            "nats-server {} has no sync_interval: it acknowledges what it has not synced, and can lose it with the power; \
             the engines' journals fill it up again",
            server.version
        ));
    } else {
        remarks.push(
            "whether sync_interval is \"always\" cannot be seen from outside: without it the broker acknowledges what it \
             has not synced"
                .to_owned(),
        );
    }
    if found.num_replicas < usize::from(config.replicas) {
        remarks.push(format!("the stream has {} of {} replicas", found.num_replicas, config.replicas));
    }
    let want = wanted(config, names);
    let mut differs = |what: &str, found: String, want: String| {
        if found != want {
            remarks.push(format!("the stream's {what} is {found} instead of {want}"));
        }
    };
    differs("storage", format!("{:?}", found.storage), format!("{:?}", want.storage));
    differs("retention", format!("{:?}", found.retention), format!("{:?}", want.retention));
    differs("discard policy", format!("{:?}", found.discard), format!("{:?}", want.discard));
    let per_subject = |config: &Config| config.max_messages_per_subject.to_string();
    differs("max_msgs_per_subject", per_subject(found), per_subject(&want));
    differs("max_msgs", limit(found.max_messages), limit(want.max_messages));
    differs("max_bytes", limit(found.max_bytes), limit(want.max_bytes));
    differs("max_age", format!("{:?}", found.max_age), format!("{:?}", want.max_age));
    let window = |config: &Config| format!("{:?}", config.duplicate_window);
    differs("duplicate_window", window(found), window(&want));
    differs("persist_mode", format!("{:?}", found.persist_mode), format!("{:?}", want.persist_mode));
    ServerFacts {
        name: server.server_name.clone(),
        version: server.version.clone(),
        replicas: found.num_replicas,
        remarks,
    }
}

/// A limit as the broker writes it: 0 and -1 are none.
fn limit(number: i64) -> String {
    if number <= 0 { "none".to_owned() } else { number.to_string() }
}

/// Whether our subjects lie in the stream and it takes messages at all.
pub(super) fn usable(names: &Names, found: &Config) -> Result<(), String> {
    if !found.subjects.contains(&names.everything()) {
        return Err(format!("stream {} does not hold {}", names.stream(), names.everything()));
    }
    if found.sealed {
        return Err(format!("stream {} is sealed", names.stream()));
    }
    Ok(())
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// What was seen of the stream, over all connections: by it we know a stream that has lost something.
#[derive(Debug, Default)]
pub(super) struct Seen {
    created: Option<DateTime>,
    /// The highest place that was delivered.
    pub(super) delivered: AtomicU64,
    /// The highest place of a message of ours.
    pub(super) acknowledged: AtomicU64,
    /// The place of our newest heartbeat.
    pub(super) own_beat: AtomicU64,
    /// Something came from an older place than it should.
    went_back: AtomicBool,
    /// A reset was found and not yet told.
    owed: bool,
    /// Messages in the stream. With one for each subject, and no other limit, they never become fewer.
    messages: AtomicU64,
}

impl Seen {
    /// The highest place that is known to have existed.
    pub(super) fn highest(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed).max(self.acknowledged.load(Ordering::Relaxed))
    }

    /// Says what the stream has lost, if it has. `highest` was known before the broker was asked.
    pub(super) fn lost(&self, info: &Info, highest: u64) -> Option<&'static str> {
        let created = self.created?;
        let limited =
            info.config.max_messages > 0 || info.config.max_bytes > 0 || !info.config.max_age.is_zero();
        if created != info.created {
            return Some("it was made anew");
        }
        if info.state.last_sequence < highest || self.went_back.load(Ordering::Relaxed) {
            return Some("it is at an older place than was seen");
        }
        if !limited && info.state.messages < self.messages.load(Ordering::Relaxed) {
            return Some("it was emptied");
        }
        self.messages.store(info.state.messages, Ordering::Relaxed);
        None
    }

    /// Notes that something came from an older place than it should, and says so.
    pub(super) fn went_back(&self) -> String {
        self.went_back.store(true, Ordering::Relaxed);
        "the stream went back to an older place".to_owned()
    }

    /// Looks whether the stream still holds our newest heartbeat: where an older copy has gone on past the place that we have
    /// seen, this alone shows it.
    pub(super) async fn lost_our_beat(&self, context: &Context, names: &Names) -> Result<bool, String> {
        let expected = self.own_beat.load(Ordering::Relaxed);
        if expected == 0 {
            return Ok(false);
        }
        let stream = context.get_stream_no_info(names.stream()).await.map_err(|error| reasons(&error))?;
        match stream.get_last_raw_message_by_subject(&names.slot(Slot::Beat)).await {
            Ok(message) => Ok(message.sequence < expected),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(true),
            Err(error) => Err(format!("stream {}: {}", names.stream(), reasons(&error))),
        }
    }

    /// Notes which stream this is from now on. A new one has nothing of ours, whatever an earlier life may have published.
    pub(super) fn begin(&mut self, info: &Info, lost: bool) {
        let first = self.created.is_none();
        if lost {
            *self =
                Self { messages: AtomicU64::new(info.state.messages), owed: self.owed, ..Self::default() };
        }
        self.owed |= lost || first && info.state.last_sequence == 0;
        self.created = Some(info.created);
    }

    /// Whether a reset was found that is not yet told.
    pub(super) fn owes_a_reset(&self) -> bool {
        self.owed
    }

    /// The reset, where one was found, is told now.
    pub(super) fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.owed)
    }
}
