//! A bad network on demand: a TCP proxy before a real server.
//!
//! What no proxy can imitate is a peer whose packets vanish: the kernel goes on acknowledging for it. That is what
//! [`crate::Network`] is for, on whose far side a [`Chaos`] can listen.

mod pump;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};

use self::pump::Pump;

/// From whoever connects to the server, or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    There,
    Back,
}

/// What one direction of every connection is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Each piece arrives so much later, and up to `jitter` more; TCP keeps the order.
    pub delay: Duration,
    pub jitter: Duration,
    /// One piece in so many is held up for so long, and all behind it: what a lost packet looks like from above.
    pub stall: Option<(u32, Duration)>,
    pub bytes_per_second: Option<u64>,
    /// Nothing arrives, and nothing is closed: half-open. What was sent meanwhile arrives once this is over.
    pub silent: bool,
    /// A connection is cut off once it has carried so much.
    pub cut_after: Option<u64>,
}

impl Link {
    pub const SILENT: Self = Self { silent: true, ..Self::CLEAR };
    pub const CLEAR: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        stall: None,
        bytes_per_second: None,
        silent: false,
        cut_after: None,
    };
}

#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    links: [Link; 2],
    /// Connections with a lower number carry nothing for ever.
    stranded: [u64; 2],
}

impl Weather {
    fn link(&self, way: Way, number: u64) -> Link {
        let link = self.links[way as usize];
        if number < self.stranded[way as usize] { Link::SILENT } else { link }
    }
}

/// Stands before one server until it is dropped, which cuts every connection.
#[derive(Debug)]
pub struct Chaos {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    weather: watch::Sender<Weather>,
    accepted: AtomicU64,
    open: AtomicUsize,
    carried: [AtomicU64; 2],
    cut: Notify,
}

impl Chaos {
    /// Listens on a port of its own and lets everything through. To be called on a Tokio runtime.
    pub fn before(target: SocketAddr) -> Chaos {
        Chaos::at(crate::free_port(), target)
    }

    /// The same on a port that is known already, as where the server has to be told of it.
    pub fn at(port: u16, target: SocketAddr) -> Chaos {
        Chaos::on(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap(), target)
    }

    /// The same on a listener of the caller's, which may be elsewhere.
    pub fn on(listener: std::net::TcpListener, target: SocketAddr) -> Chaos {
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let shared = Arc::new(Shared {
            target,
            weather: watch::Sender::new(Weather::default()),
            accepted: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            carried: Default::default(),
            cut: Notify::new(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Chaos { addr, shared, accepting }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What both directions are like from now on, also of connections that are open.
    pub fn set(&self, link: Link) {
        self.shared.weather.send_modify(|weather| weather.links = [link; 2]);
    }

    /// What one direction is like from now on.
    pub fn set_way(&self, way: Way, link: Link) {
        self.shared.weather.send_modify(|weather| weather.links[way as usize] = link);
    }

    pub fn clear(&self) {
        self.set(Link::CLEAR);
    }

    /// Half-open: see [`Link::silent`].
    pub fn silence(&self) {
        self.set(Link::SILENT);
    }

    /// The connections that are open now carry nothing any more, for ever, while new ones do: a failover, or a firewall
    /// that has forgotten them.
    pub fn strand(&self) {
        self.strand_way(Way::There);
        self.strand_way(Way::Back);
    }

    /// The same in one direction.
    pub fn strand_way(&self, way: Way) {
        let next = self.shared.accepted.load(Ordering::SeqCst);
        self.shared.weather.send_modify(|weather| weather.stranded[way as usize] = next);
    }

    /// Cuts off the connections that are open, by a reset.
    pub fn reset(&self) {
        self.shared.cut.notify_waiters();
    }

    /// Connections that are open, those that are stranded among them.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections that there ever were.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Bytes that have arrived.
    pub fn carried(&self, way: Way) -> u64 {
        self.shared.carried[way as usize].load(Ordering::SeqCst)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Its connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { continue };
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(connection(near, number, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One in the count of open connections.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(near: TcpStream, number: u64, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let _open = Open(Arc::clone(&shared));
    let cut = shared.cut.notified();
    let carrying = async {
        pump::audible(&mut shared.weather.subscribe(), Way::There, number).await;
        let Ok(far) = TcpStream::connect(shared.target).await else {
            // A server that is not there refuses, which is the nearest to it that an accepted connection can say.
            let _ = near.set_zero_linger();
            return;
        };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let (near_reads, near_writes) = near.into_split();
        let (far_reads, far_writes) = far.into_split();
        let pump = |way| Pump { way, number, shared: Arc::clone(&shared) };
        let there = pump(Way::There).run(near_reads, far_writes);
        let back = pump(Way::Back).run(far_reads, near_writes);
        // Each direction ends by itself; whichever is cut off takes the other along.
        let _ = tokio::try_join!(there, back);
    };
    tokio::select! {
        () = carrying => {}
        () = cut => {}
    }
}

#[cfg(test)]
mod tests;
