//! A line between an engine and a broker on which the weather can be made: cut, late, or losing packets.
//!
//! TCP hides a lost packet behind a wait, and a cut line behind a longer one, so that is what the relay does to the bytes:
//! it never drops any. It runs on a thread of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weather {
    /// Nothing passes until it is over.
    pub(crate) cut: bool,
    /// How long a byte is under way.
    pub(crate) delay: Duration,
    /// Of how many thousand pieces one waits for its repetition.
    pub(crate) lost_per_mille: u64,
}

/// How much longer than a round trip a sender waits for an acknowledgement before it sends again: the least of Linux. What
/// comes behind a lost packet waits as long, unless a later packet tells the sender of the loss.
const REPEATED_AFTER: Duration = Duration::from_millis(200);

/// Pieces under way at once: as much as a socket's buffers hold, about.
const UNDER_WAY_MAX: usize = 64;

/// A relay, gone when dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    up: watch::Sender<Weather>,
    down: watch::Sender<Weather>,
    _end: mpsc::Sender<()>,
}

impl Relay {
    /// A relay in front of a port of this machine, in good weather.
    pub(crate) fn start(target: u16) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("an address");
        let (up, up_seen) = watch::channel(Weather::default());
        let (down, down_seen) = watch::channel(Weather::default());
        let (end, mut ended) = mpsc::channel(1);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener, target, up_seen, down_seen) => {}
                    _ = ended.recv() => {}
                }
            });
        });
        Self { address, up, down, _end: end }
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The weather from the engine to the broker, and back.
    pub(crate) fn weather(&self, up: Weather, down: Weather) {
        self.up.send_replace(up);
        self.down.send_replace(down);
    }
}

async fn serve(
    listener: TcpListener,
    target: u16,
    up: watch::Receiver<Weather>,
    down: watch::Receiver<Weather>,
) {
    let mut number = 0;
    while let Ok((engine, _)) = listener.accept().await {
        // A broker that is not there refuses: so does the relay.
        let Ok(broker) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
        for stream in [&engine, &broker] {
            stream.set_nodelay(true).expect("set");
        }
        let (from_engine, to_engine) = engine.into_split();
        let (from_broker, to_broker) = broker.into_split();
        // Whichever way ends first ends the other: a closed connection is closed at both ends.
        let open = Arc::new(tokio::sync::Notify::new());
        for (from, to, weather) in
            [(from_engine, to_broker, up.clone()), (from_broker, to_engine, down.clone())]
        {
            number += 1;
            let (open, closed) = (open.clone(), open.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = carry(from, to, weather, number) => open.notify_waiters(),
                    () = closed.notified() => {}
                }
            });
        }
    }
}

async fn carry(mut from: OwnedReadHalf, to: OwnedWriteHalf, weather: watch::Receiver<Weather>, seed: u64) {
    let (put, take) = mpsc::channel(1);
    let seen = weather.clone();
    let reading = async move {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let Weather { delay, lost_per_mille, .. } = *seen.borrow();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let bytes = buffer[..read].to_vec();
            if put.send(Piece::sent_now(bytes, delay, random % 1_000 < lost_per_mille)).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reading, deliver(take, to, weather));
}

/// What was read at once: a packet, about.
struct Piece {
    bytes: Vec<u8>,
    delay: Duration,
    sent: Instant,
    lost: bool,
    due: Instant,
}

impl Piece {
    fn sent_now(bytes: Vec<u8>, delay: Duration, lost: bool) -> Self {
        let sent = Instant::now();
        // Nobody misses it before its sender does.
        let due = sent + delay + if lost { REPEATED_AFTER + 2 * delay } else { Duration::ZERO };
        Self { bytes, delay, sent, lost, due }
    }

    /// A later packet arrives: its acknowledgement tells the sender of this one, a quarter of a round trip later (RFC 8985).
    fn overtaken_by(&mut self, later: &Self) {
        let told = later.sent + 2 * later.delay + later.delay / 2;
        if self.lost && !later.lost {
            self.due = self.due.min(told + self.delay);
        }
    }
}

async fn deliver(
    mut take: mpsc::Receiver<Piece>,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    let mut waiting: VecDeque<Piece> = VecDeque::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        let cut = weather.borrow_and_update().cut;
        let due = waiting.front().map(|piece| piece.due);
        tokio::select! {
            piece = take.recv(), if open && waiting.len() < UNDER_WAY_MAX => match piece {
                Some(piece) => {
                    waiting.iter_mut().for_each(|earlier| earlier.overtaken_by(&piece));
                    waiting.push_back(piece);
                }
                None => open = false,
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !cut => {
                let Some(piece) = waiting.pop_front() else { continue };
                if to.write_all(&piece.bytes).await.is_err() {
                    return;
                }
            }
            changed = weather.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
