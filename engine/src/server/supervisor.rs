//! What systemd is told (`Type=notify`): that the engine serves, loads again, stops; and, where it asks to be told
//! (`WatchdogSec=`), that the data plane still answers.
//!
//! The watchdog is fed by an answer, not by a timer: a packet of a QUIC version that nobody speaks must be answered with the
//! versions that are spoken (RFC 9000, 6.1). Any worker that is stuck does not, and the supervisor starts the engine anew.
//! Without a supervisor nothing here does anything.

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sd_notify::NotifyState;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

/// Smallest datagram that a QUIC server answers, bytes (RFC 9000, 14.1).
const PROBE_BYTES: usize = 1_200;
/// A version of the pattern that is kept for this (RFC 9000, 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// Probes for each worker: the kernel deals packets out by the sender's port, so that some reach every one.
const PROBES_PER_WORKER: usize = 4;

/// Feeds the watchdog until it is dropped.
pub struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A thread that panicked has said so itself.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Says that the engine serves, and begins to feed the watchdog where one is asked for.
pub fn ready(listen: SocketAddr, workers: usize) -> io::Result<Watchdog> {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let Some(within) = sd_notify::watchdog_enabled() else {
        return Ok(Watchdog { stop: None, thread: None });
    };
    let (stop, stopped) = bounded(0);
    let thread = std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || feed(reachable(listen), workers, within / 3, &stopped))?;
    tracing::info!(within_ms = within.as_millis() as u64, "a watchdog is fed");
    Ok(Watchdog { stop: Some(stop), thread: Some(thread) })
}

/// Says that rules and certificates are read again; to be followed by [`reloaded`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no clock for the supervisor"),
    }
}

/// Says that the engine serves with what it has now.
pub fn reloaded() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Says that the engine stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("answering what is there")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor does not listen");
    }
}

fn feed(engine: SocketAddr, workers: usize, every: Duration, stopped: &Receiver<()>) {
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if answers(engine, workers) {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("the data plane does not answer: the watchdog is not fed");
        }
    }
}

/// Where an engine that listens everywhere is reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, listen.port())
}

/// Whether every probe is answered.
fn answers(engine: SocketAddr, workers: usize) -> bool {
    (0..workers.max(1) * PROBES_PER_WORKER).all(|_| probe(engine).unwrap_or(false))
}

fn probe(engine: SocketAddr) -> io::Result<bool> {
    let here: IpAddr = match engine {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((here, 0))?;
    socket.connect(engine)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // A long header: the version, then the ids of both ends, eight bytes each.
    let mut packet = vec![0; PROBE_BYTES];
    packet[0] = 0xc0;
    packet[1..5].copy_from_slice(&NO_VERSION);
    (packet[5], packet[14]) = (8, 8);
    socket.send(&packet)?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer)?;
    // A long header of version zero is the answer.
    Ok(length > 5 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The control of the watchdog: a port behind which nobody works is not well, though packets reach it.
    #[test]
    fn a_port_that_says_nothing_or_something_else_is_not_well() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(!answers(silent.local_addr().expect("bound"), 1));
        let echo = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = echo.local_addr().expect("bound");
        let echoing = std::thread::spawn(move || {
            let mut packet = [0; 2_000];
            let (length, from) = echo.recv_from(&mut packet).expect("a probe");
            assert_eq!(length, PROBE_BYTES);
            echo.send_to(&packet[..length], from).expect("sent")
        });
        assert!(!answers(address, 1));
        assert_eq!(echoing.join().ok(), Some(PROBE_BYTES));
        for (listens, asked) in
            [("0.0.0.0:7", "127.0.0.1:7"), ("[::]:7", "[::1]:7"), ("10.0.0.7:7", "10.0.0.7:7")]
        {
            let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
            assert_eq!(reachable(address(listens)), address(asked));
        }
    }
}
