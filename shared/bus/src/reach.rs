//! Reaching a server, each step with a patience of its own.

use std::{future::Future, io, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::endpoint::Endpoint;

/// Of name resolution and TCP. Short, since a try that began just before a server came back may hang for as long.
pub(crate) const REACH_TIMEOUT: Duration = Duration::from_secs(1);
/// Of TLS and login. Longer: who is there and busy, as after a restart when everybody comes at once, would otherwise do
/// the same work again and again.
pub(crate) const LOGIN_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// # Errors
/// After [`REACH_TIMEOUT`] at the latest.
pub(crate) async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let Endpoint { host, port } = endpoint;
    let tcp = in_time(REACH_TIMEOUT, "not reached", TcpStream::connect((host.as_str(), *port))).await?;
    // Small commands follow each other: a subscription must not wait until the last one is acknowledged.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

pub(crate) async fn in_time<T, E: From<io::Error>>(
    limit: Duration,
    otherwise: &str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match timeout(limit, step).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{otherwise} within {limit:?}")).into()),
    }
}
