//! An identity that is lent to a browser: plain HTTP on this machine on one side, mutual TLS to an engine's HTTPS door on the
//! other. A browser asks its user which certificate to show; a test has nobody who answers.

use crate::door::Caller;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// See the module. It lends as long as the test runs.
pub(crate) fn lent(caller: &Caller) -> SocketAddr {
    let (door, mut tls) = caller.way();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            let connector = TlsConnector::from(Arc::new(tls));
            while let Ok((browser, _)) = listener.accept().await {
                tokio::spawn(carry(browser, door, connector.clone()));
            }
        });
    });
    address
}

/// Carries one connection. What ends on one side ends on the other: an engine that is gone is so for the browser.
async fn carry(mut browser: TcpStream, door: SocketAddr, connector: TlsConnector) -> Option<()> {
    let engine = TcpStream::connect(door).await.ok()?;
    let name = ServerName::try_from("127.0.0.1").ok()?;
    let mut engine = connector.connect(name, engine).await.ok()?;
    tokio::io::copy_bidirectional(&mut browser, &mut engine).await.ok()?;
    Some(())
}
