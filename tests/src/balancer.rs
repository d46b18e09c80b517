//! What stands before a fleet: a connection goes to the first edge that accepts it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use signal_client::dial::{Dial, Dialing, Transport};
use tokio::net::TcpStream;

/// Clones are the same balancer. In the order in which they were added, edges are tried until one accepts, so that
/// everybody is at the first one until it stops accepting.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    edges: Arc<Mutex<Vec<SocketAddr>>>,
    opened: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
}

impl Balancer {
    pub fn add(&self, edge: SocketAddr) {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner).push(edge);
    }

    /// When connections to an edge were opened.
    pub fn opened(&self, edge: SocketAddr) -> Vec<Instant> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().filter(|(to, _)| *to == edge).map(|(_, at)| *at).collect()
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no edge");
        for edge in edges {
            match TcpStream::connect(edge).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    self.opened.lock().unwrap_or_else(PoisonError::into_inner).push((edge, Instant::now()));
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Dial for Balancer {
    /// The name that was asked for is the fleet's, not an edge's.
    fn dial<'a>(&'a self, _host: &'a str, _port: u16) -> Dialing<'a> {
        Box::pin(async move { Ok(Box::new(self.connect().await?) as Box<dyn Transport>) })
    }
}
