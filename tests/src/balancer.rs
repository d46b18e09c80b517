//! What stands before a fleet and chooses an edge for each connection.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use signal_client::dial::{Dial, Dialing, Transport};
use tokio::net::TcpStream;

/// Clones are the same balancer. Unless it takes turns, edges are tried in the order in which they were added until one
/// accepts, so that everybody is at the first one until it stops accepting.
#[derive(Clone, Debug, Default)]
pub struct Balancer {
    edges: Arc<Mutex<Vec<SocketAddr>>>,
    opened: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
    refused: Arc<AtomicUsize>,
    turn: Option<Arc<AtomicUsize>>,
}

impl Balancer {
    /// One that gives each connection to the next edge, whether that accepts it or not, as what knows only addresses
    /// does.
    pub fn in_turn() -> Self {
        Self { turn: Some(Arc::default()), ..Self::default() }
    }

    /// These edges and no others from now on.
    pub fn set(&self, edges: Vec<SocketAddr>) {
        *self.edges.lock().unwrap_or_else(PoisonError::into_inner) = edges;
    }

    pub fn add(&self, edge: SocketAddr) {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner).push(edge);
    }

    /// When connections to an edge were opened.
    pub fn opened(&self, edge: SocketAddr) -> Vec<Instant> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().filter(|(to, _)| *to == edge).map(|(_, at)| *at).collect()
    }

    /// When connections to any edge were opened.
    pub fn opened_anywhere(&self) -> Vec<Instant> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, at)| *at).collect()
    }

    /// Connections that found nobody who accepts them.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// The edges to be tried for one connection.
    fn candidates(&self) -> Vec<SocketAddr> {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(turn) = self.turn.as_ref().filter(|_| !edges.is_empty()) {
            let next = turn.fetch_add(1, Ordering::SeqCst) % edges.len();
            edges = vec![edges[next]];
        }
        edges
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "there is no edge");
        for edge in self.candidates() {
            match TcpStream::connect(edge).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    self.opened.lock().unwrap_or_else(PoisonError::into_inner).push((edge, Instant::now()));
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        Err(last)
    }
}

impl Dial for Balancer {
    /// The name that was asked for is the fleet's, not an edge's.
    fn dial<'a>(&'a self, _host: &'a str, _port: u16) -> Dialing<'a> {
        Box::pin(async move { Ok(Box::new(self.connect().await?) as Box<dyn Transport>) })
    }
}
