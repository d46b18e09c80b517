//! How a byte stream to an edge is opened.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream, lookup_host},
};

#[cfg(feature = "tls")]
pub(crate) mod tls;

/// A byte stream in both directions.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// Opens byte streams: over TCP by default, or over whatever a proxy or a sandbox asks for. TLS comes on top.
pub trait Dial: fmt::Debug + Send + Sync {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> Dialing<'a>;
}

/// TCP, without Nagle's delay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp {
    local: Option<IpAddr>,
}

impl Tcp {
    /// Connects from this address: each has some 28,000 ports towards one edge.
    pub const fn from_address(local: IpAddr) -> Self {
        Self { local: Some(local) }
    }

    async fn connect(self, to: SocketAddr) -> io::Result<TcpStream> {
        let Some(local) = self.local else { return TcpStream::connect(to).await };
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(local, 0))?;
        socket.connect(to).await
    }
}

impl Dial for Tcp {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> Dialing<'a> {
        Box::pin(async move {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for to in lookup_host((host, port)).await? {
                match self.connect(to).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream) as Box<dyn Transport>);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }
}
