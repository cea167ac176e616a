//! The data plane's sockets.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Kernel buffers: lost packets cost milliseconds. The kernel may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Sockets that share one port, one for each worker.
pub(super) fn bind_all(listen: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    // A port that is shared could be shared with another engine by mistake: somebody must have it alone first.
    let alone = UdpSocket::bind(listen)?;
    let shared_address = alone.local_addr()?;
    drop(alone);
    let first = bind(shared_address)?;
    let mut sockets = vec![first];
    for _ in 1..workers.max(1) {
        sockets.push(bind(shared_address)?);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}
