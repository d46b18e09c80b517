//! Authenticated clients that open and check all that they get.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use signal_client::{Endpoint, Session, dial::Tcp, session::Received};
use signal_wire::protocol::Protocol;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::scene::micros;

/// An address has some 28,000 ports for outgoing connections, and those of an earlier run may not be free yet.
const CLIENTS_PER_ADDRESS: usize = 5000;
const HANDSHAKES_AT_ONCE: usize = 64;
const ARRIVAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Crowd {
    clients: JoinSet<()>,
    arrivals: Arc<Arrivals>,
}

#[derive(Debug, Default)]
struct Arrivals {
    missing: AtomicUsize,
    timing: AtomicBool,
    latencies_ms: Mutex<Vec<f64>>,
    complaint: Mutex<Option<String>>,
    news: Notify,
}

impl Crowd {
    /// One client for each token.
    pub(crate) async fn connect(edge: SocketAddr, tokens: &[String], protocol: Protocol) -> anyhow::Result<Self> {
        let sessions = sessions(edge, tokens, protocol).await?;
        let arrivals = Arc::new(Arrivals::default());
        let mut clients = JoinSet::new();
        for session in sessions {
            clients.spawn(listen(session, Arc::clone(&arrivals)));
        }
        Ok(Self { clients, arrivals })
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// From now on so many messages are to arrive.
    pub(crate) fn expect(&self, messages: usize) {
        self.arrivals.missing.store(messages, Ordering::SeqCst);
    }

    pub(crate) async fn all_arrived(&self) -> anyhow::Result<()> {
        timeout(ARRIVAL, self.arrivals.complete()).await.with_context(|| {
            format!("{} messages did not arrive within {ARRIVAL:?}", self.arrivals.missing.load(Ordering::SeqCst))
        })?
    }

    /// From now on it is kept how long each message takes to arrive.
    pub(crate) fn time(&self) {
        self.arrivals.timing.store(true, Ordering::SeqCst);
    }

    /// How long each took, in milliseconds, since [`Crowd::time`] or the last look.
    pub(crate) fn latencies_ms(&self) -> anyhow::Result<Vec<f64>> {
        let mut latencies = self.arrivals.latencies_ms.lock().map_err(|_| anyhow!("a client has panicked"))?;
        Ok(std::mem::take(&mut *latencies))
    }

    /// Drops every connection.
    pub(crate) async fn leave(mut self) {
        self.clients.shutdown().await;
    }
}

impl Arrivals {
    async fn complete(&self) -> anyhow::Result<()> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Enabled before the look, so that what happens in between is not missed.
            news.as_mut().enable();
            if let Some(complaint) = self.complaint.lock().map_err(|_| anyhow!("a client has panicked"))?.take() {
                bail!(complaint);
            }
            if self.missing.load(Ordering::SeqCst) == 0 {
                return Ok(());
            }
            news.await;
        }
    }

    fn arrived(&self, sent_us: u64) -> anyhow::Result<()> {
        if self.timing.load(Ordering::Relaxed) {
            let took_ms = micros().saturating_sub(sent_us) as f64 / 1000.0;
            self.latencies_ms.lock().map_err(|_| anyhow!("a client has panicked"))?.push(took_ms);
        }
        let before = self.missing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |missing| missing.checked_sub(1));
        ensure!(before.is_ok(), "a message arrived that nobody sent");
        if before == Ok(1) {
            self.news.notify_waiters();
        }
        Ok(())
    }
}

/// One session for each token.
pub(crate) async fn sessions(edge: SocketAddr, tokens: &[String], protocol: Protocol) -> anyhow::Result<Vec<Session>> {
    let addresses = tokens.len().div_ceil(CLIENTS_PER_ADDRESS);
    let endpoints: Vec<_> = (0..addresses).map(|at| endpoint(edge, at, protocol)).collect();
    let endpoints: Vec<Endpoint> = endpoints.into_iter().collect::<Result<_, _>>()?;
    stream::iter(tokens.iter().enumerate())
        .map(|(number, token)| Session::open(&endpoints[number / CLIENTS_PER_ADDRESS], token))
        .buffer_unordered(HANDSHAKES_AT_ONCE)
        .try_collect()
        .await
        .context("a client was not let in")
}

async fn listen(mut session: Session, arrivals: Arc<Arrivals>) {
    let Err(error) = count(&mut session, &arrivals).await else { return };
    if let Ok(mut complaint) = arrivals.complaint.lock() {
        complaint.get_or_insert(format!("{error:#}"));
    }
    arrivals.news.notify_waiters();
}

/// Figures of an edge that loses messages or their order are worth nothing: every client checks.
async fn count(session: &mut Session, arrivals: &Arrivals) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Stamp {
        t: u64,
    }
    let mut last = 0;
    loop {
        match session.receive().await.context("a client was disconnected")? {
            Received::Alive => {}
            Received::Problem(problem) => bail!(problem),
            Received::Message(message) => {
                let Stamp { t } = message.data()?;
                ensure!(t > last, "a message overtook another");
                last = t;
                arrivals.arrived(t)?;
            }
        }
    }
}

fn endpoint(edge: SocketAddr, address: usize, protocol: Protocol) -> anyhow::Result<Endpoint> {
    let local = Ipv4Addr::new(127, 0, 3, u8::try_from(address + 1).context("too many clients")?);
    let endpoint = Endpoint::new(&format!("ws://{edge}/stream"))?;
    let endpoint = endpoint.dial_with(Tcp::from_address(IpAddr::V4(local))).protocol(protocol);
    Ok(endpoint.read_buffer(512).open_timeout(ARRIVAL))
}
