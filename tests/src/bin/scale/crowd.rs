//! Authenticated clients that open all that they get and hold it against what is due: the next of its kind, each once.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use signal_client::{
    Endpoint, Session,
    dial::Tcp,
    session::{Reader, Received, Writer},
};
use signal_wire::message::event;
use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::{WITHIN, publisher::KINDS};

/// An address has some 28,000 ports for outgoing connections, and those of an earlier run may not be free yet.
const CLIENTS_PER_ADDRESS: usize = 5000;
const HANDSHAKES_AT_ONCE: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) clients: Vec<Client>,
    arrivals: Arc<Arrivals>,
    reading: JoinSet<()>,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) user: String,
    writer: Writer,
}

#[derive(Debug, Default)]
struct Arrivals {
    arrived: AtomicU64,
    /// Whoever waits wants to hear of it from here on.
    awaited: AtomicU64,
    complaint: Mutex<Option<String>>,
    news: Notify,
}

impl Crowd {
    /// Adds one client for each token, at this edge.
    pub(crate) async fn join(&mut self, edge: SocketAddr, tokens: &[String]) -> anyhow::Result<()> {
        let addresses = tokens.len().div_ceil(CLIENTS_PER_ADDRESS);
        let endpoints: Vec<Endpoint> = (0..addresses).map(|at| endpoint(edge, at)).collect::<Result<_, _>>()?;
        let sessions: Vec<Session> = stream::iter(tokens.iter().enumerate())
            .map(|(number, token)| Session::open(&endpoints[number / CLIENTS_PER_ADDRESS], token))
            .buffer_unordered(HANDSHAKES_AT_ONCE)
            .try_collect()
            .await
            .context("a client was not let in")?;
        for session in sessions {
            let user = session.connected().user_id.clone();
            let (reader, writer) = session.into_split();
            self.reading.spawn(listen(reader, Arc::clone(&self.arrivals)));
            self.clients.push(Client { user, writer });
        }
        Ok(())
    }

    /// Messages that have arrived at anybody, ever.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrivals.arrived.load(Ordering::SeqCst)
    }

    /// Waits until so many have arrived, ever.
    pub(crate) async fn reached(&self, messages: u64) -> anyhow::Result<()> {
        let reached = timeout(WITHIN, self.arrivals.reached(messages)).await;
        reached.with_context(|| format!("{} of {messages} messages arrived within {WITHIN:?}", self.arrived()))?
    }

    /// Each joins one room, which nothing answers.
    pub(crate) async fn join_rooms(&mut self, room_of: impl Fn(usize) -> String) -> anyhow::Result<()> {
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.writer.send(event::JOIN, &json!({ "rooms": [room_of(number)] })).await?;
        }
        Ok(())
    }

    /// Each says what an SDK says every half a minute: a sealed heartbeat, and a ping.
    pub(crate) async fn beat(&mut self) -> anyhow::Result<()> {
        for client in &mut self.clients {
            client.writer.send_plaintext(&signal_wire::message::compose(event::HEARTBEAT, None)).await?;
            client.writer.ping().await?;
        }
        Ok(())
    }
}

impl Arrivals {
    async fn reached(&self, messages: u64) -> anyhow::Result<()> {
        self.awaited.store(messages, Ordering::SeqCst);
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Enabled before the look, so that what happens in between is not missed.
            news.as_mut().enable();
            if let Some(complaint) = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
                bail!(complaint);
            }
            if self.arrived.load(Ordering::SeqCst) >= messages {
                return Ok(());
            }
            news.await;
        }
    }

    fn arrive(&self) {
        let arrived = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        if arrived >= self.awaited.load(Ordering::SeqCst) {
            self.news.notify_waiters();
        }
    }
}

async fn listen(mut reader: Reader, arrivals: Arc<Arrivals>) {
    let Err(error) = take(&mut reader, &arrivals).await else { return };
    arrivals.complaint.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(format!("{error:#}"));
    arrivals.news.notify_waiters();
}

/// Figures of edges that lose, double or reorder messages are worth nothing: every client checks.
async fn take(reader: &mut Reader, arrivals: &Arrivals) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Place {
        kind: usize,
        number: u64,
    }
    let mut due = [0; KINDS];
    loop {
        match reader.receive().await.context("a client was disconnected")? {
            Received::Alive => {}
            Received::Problem(problem) => bail!(problem),
            Received::Message(message) => {
                let Place { kind, number } = message.data().with_context(|| format!("{message:?}"))?;
                ensure!(number == due[kind], "message {number} of kind {kind} came instead of {}", due[kind]);
                due[kind] += 1;
                arrivals.arrive();
            }
        }
    }
}

fn endpoint(edge: SocketAddr, address: usize) -> anyhow::Result<Endpoint> {
    let local = Ipv4Addr::new(127, 0, 4, u8::try_from(address + 1).context("too many clients")?);
    let endpoint = Endpoint::new(&format!("ws://{edge}/stream"))?.dial_with(Tcp::from_address(IpAddr::V4(local)));
    Ok(endpoint.read_buffer(512).open_timeout(WITHIN).handshake_timeout(WITHIN))
}
