//! How often a worker's socket was seen empty: what is read after that has not waited since before it.

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Counts how often the socket was seen empty.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// How often so far.
    pub(super) fn drained(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A worker's socket, and its pulse. To be called on the worker's runtime.
pub(in crate::server) fn pulsing(socket: UdpSocket) -> io::Result<(Arc<dyn AsyncUdpSocket>, Pulse)> {
    let (inner, pulse) = (TokioRuntime.wrap_udp_socket(socket)?, Pulse::default());
    Ok((Arc::new(Pulsing { inner, pulse: pulse.clone() }), pulse))
}

/// The runtime's own socket; what it finds empty is counted.
struct Pulsing {
    inner: Arc<dyn AsyncUdpSocket>,
    pulse: Pulse,
}

impl fmt::Debug for Pulsing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl AsyncUdpSocket for Pulsing {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let read = self.inner.poll_recv(cx, bufs, meta);
        if read.is_pending() {
            // Only this worker's thread writes it.
            self.pulse.0.fetch_add(1, Ordering::Relaxed);
        }
        read
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
