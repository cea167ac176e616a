//! A line between an engine and a broker on which the weather can be made: cut, late, or losing packets.
//!
//! TCP hides a lost packet behind a wait, and a cut line behind a longer one, so that is what the relay does to the bytes:
//! it never drops any. It runs on a thread of its own.

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

/// How long a lost packet holds up what comes behind it: the least that Linux waits before it sends again.
const REPEATED_AFTER: Duration = Duration::from_millis(200);

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
    // As much as a socket's buffers hold, about.
    let (put, take) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let seen = weather.clone();
    let reading = async move {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let Weather { delay, lost_per_mille, .. } = *seen.borrow();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let lost = random % 1_000 < lost_per_mille;
            let due = Instant::now() + delay + if lost { REPEATED_AFTER } else { Duration::ZERO };
            if put.send((due, buffer[..read].to_vec())).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reading, deliver(take, to, weather));
}

async fn deliver(
    mut take: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) {
    while let Some((due, bytes)) = take.recv().await {
        tokio::time::sleep_until(due).await;
        if weather.wait_for(|weather| !weather.cut).await.is_err() || to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
