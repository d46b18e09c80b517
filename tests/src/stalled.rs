//! Clients that have stopped reading.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use signal_client::{
    Disconnect, Endpoint, Session,
    dial::{Dial, Dialing, Transport},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

const AT_ONCE: usize = 32;
/// What the kernel holds for a client that does not read is no matter here, and is kept small.
const RECEIVE_BUFFER: usize = 4096;
/// Small segments make a small send buffer: Linux sizes it by how many are in flight.
const SEGMENT: u32 = 536;

/// Dials with so little room in the kernel that an edge soon has to keep what is not read.
#[derive(Clone, Copy, Debug)]
pub struct Narrow;

impl Dial for Narrow {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> Dialing<'a> {
        Box::pin(async move {
            let host: Ipv4Addr = host.parse().map_err(io::Error::other)?;
            let edge = SocketAddr::new(IpAddr::V4(host), port);
            let socket = tokio::task::spawn_blocking(move || connect(edge)).await.map_err(io::Error::other)??;
            Ok(Box::new(TcpStream::from_std(socket.into())?) as Box<dyn Transport>)
        })
    }
}

fn connect(edge: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // Before the connection: both are agreed on when it opens.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.set_tcp_mss(SEGMENT)?;
    socket.connect(&edge.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// One authenticated session for each token. Nobody reads from it until somebody calls [`how_it_ended`].
///
/// # Errors
/// If one is not let in.
pub async fn open(edge: SocketAddr, tokens: &[String]) -> anyhow::Result<Vec<Session>> {
    let endpoint = Endpoint::new(&format!("ws://{edge}/stream"))?.dial_with(Narrow).read_buffer(512);
    let opening = stream::iter(tokens).map(|token| Session::open(&endpoint, token)).buffer_unordered(AT_ONCE);
    opening.try_collect().await.context("a client was not let in")
}

/// Reads at last, up to the end: the close code, or `None` where the connection was cut.
pub async fn how_it_ended(mut session: Session) -> Option<u16> {
    loop {
        match session.receive().await {
            Ok(_) => {}
            Err(Disconnect::Closed(close)) => return Some(close.code),
            Err(_) => return None,
        }
    }
}
