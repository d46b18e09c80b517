//! Thousands of malformed frames, tokens, requests, envelopes and records: each is counted, nothing crashes, nothing grows.

use std::{
    cell::Cell,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use signal_client::{
    Endpoint, Session,
    session::{RawFrame, Received},
};
use signal_harness::{Issuer, Kafka, Postgres, PubSub, Service, eventually};
use signal_wire::protocol::Protocol;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{Findings, Size, scene::mib};
use crate::{
    launch,
    malformed::{
        envelopes, frames, records,
        requests::{self, Refused},
        tokens,
    },
    sister::Sister,
};

const AT_ONCE: usize = 16;
const CLIENTS: &str = "/v1/api/signal/socket/websocket/clients";
const NOTIFICATIONS: &str = "/v1/api/signal/notifications";
/// What memory may grow by over all rounds but the first, which fills what is kept for good.
const GROWTH_KIB: u64 = 6 * 1024;

/// The processes, and what they have been sent so far.
struct Target {
    pubsub: PubSub,
    issuer: Issuer,
    other: Issuer,
    edge: Service,
    worker: Service,
    brokers: String,
    topic: String,
    sent: Sent,
}

/// Each is to be found in a counter.
#[derive(Debug, Default)]
struct Sent {
    frames: AtomicU64,
    broken: AtomicU64,
    tokens: AtomicU64,
    unreadable: AtomicU64,
    envelopes: AtomicU64,
    records: AtomicU64,
}

/// # Errors
/// If a count differs, a process has ended or grown, or what is well-formed no longer passes.
pub async fn play(size: Size, postgres: &Postgres, kafka: &Kafka) -> anyhow::Result<Findings> {
    let (database, topic, pubsub, issuer) = tokio::join!(
        postgres.database_with("core", async |url| launch::migrate(&url).await),
        kafka.topic("malformed", 1),
        PubSub::launch(),
        Issuer::launch()
    );
    kafka.create_topic(&format!("{topic}.DLQ"), 1).await;
    let brokers = kafka.brokers();
    let edge = launch::edge(&pubsub, &issuer).env("SIGNAL_MESSAGE_RATE", "0").env("SIGNAL_LOG", "warn").spawn();
    let worker = launch::worker(database.url(), &brokers, &topic, &pubsub, &issuer).env("SIGNAL_KAFKA_GROUP", &topic);
    let worker = worker.env("SIGNAL_LOG", "error").spawn();
    tokio::join!(edge.wait_ready(size.within), worker.wait_ready(size.within));
    let (other, sent) = (Issuer::reserved(), Sent::default());
    let target = Target { pubsub, issuer, other, edge, worker, brokers, topic, sent };
    let files = (target.edge.open_files(), target.worker.open_files());

    let each = size.malformed / size.rounds;
    let mut memory = Vec::new();
    for _ in 0..size.rounds {
        target.frames(each).await.context("frames")?;
        target.tokens(each).await.context("tokens")?;
        target.requests(&target.edge, CLIENTS, each / 2).await.context("requests to the edge")?;
        target.requests(&target.worker, NOTIFICATIONS, each / 2).await.context("requests to the worker")?;
        target.envelopes(each).await.context("envelopes")?;
        target.records(each).await.context("records")?;
        target.adds_up(size).await;
        memory.push((target.edge.rss_kib(), target.worker.rss_kib()));
    }
    super::scene::holds(&target.edge, 0, size.within).await;
    eventually(size.within, || async {
        let now = (target.edge.open_files(), target.worker.open_files());
        let given_back = now.0 <= files.0 + 4 && now.1 <= files.1 + 8;
        if given_back { Ok(()) } else { Err(format!("{now:?} open files, {files:?} before")) }
    })
    .await;
    // Whoever means well is served as before.
    let session = target.session(Protocol::V2).await?;
    drop(session);
    ensure!(target.worker.health("ready").await?.status == 200, "the worker is not ready");
    let first = memory[0];
    // What a flood of large envelopes needed at its fullest the allocator gives back as time goes by, and on occasion of
    // other work. What leaks stays.
    let last = Cell::new(first);
    eventually(size.within, || {
        let ticking = [target.edge.health("live"), target.worker.health("live")];
        let (last, memory, target) = (&last, &memory, &target);
        async move {
            for answer in ticking {
                answer.await.map_err(|error| error.to_string())?;
            }
            last.set((target.edge.rss_kib(), target.worker.rss_kib()));
            let is_back = last.get().0 <= first.0 + GROWTH_KIB && last.get().1 <= first.1 + GROWTH_KIB;
            if is_back { Ok(()) } else { Err(format!("{:?} KiB after rounds that ended with {memory:?}", last.get())) }
        }
    })
    .await;
    let last = last.get();
    let grown = (last.0.saturating_sub(first.0), last.1.saturating_sub(first.1));
    let rounds = size.rounds - 1;
    Ok(vec![
        format!(
            "{} each of frames, tokens, requests, envelopes and records, in {} rounds",
            size.malformed, size.rounds
        ),
        format!("every one of them counted: {:?}", target.sent),
        format!(
            "edge {} after the first round, {} more after {rounds} others; worker {}, {} more",
            mib(first.0),
            mib(grown.0),
            mib(first.1),
            mib(grown.1)
        ),
    ])
}

impl Target {
    async fn session(&self, protocol: Protocol) -> anyhow::Result<Session> {
        let endpoint = Endpoint::new(&format!("ws://{}/stream", self.edge.http_addr()))?.protocol(protocol);
        Ok(Session::open(&endpoint, &self.issuer.token("an")).await?)
    }

    /// On one session that stays, and on some that a frame ends.
    async fn frames(&self, count: usize) -> anyhow::Result<()> {
        let (mut reader, mut writer) = self.session(Protocol::V1).await?.into_split();
        let texts = frames::all();
        let saying = async {
            for text in texts.iter().cycle().take(count) {
                writer.send_raw(RawFrame::text(text.clone())).await?;
            }
            anyhow::Ok(())
        };
        let hearing = async {
            for _ in 0..count {
                match reader.receive().await? {
                    Received::Message(message) if message.event() == "error" => {}
                    other => anyhow::bail!("{other:?}"),
                }
            }
            Ok(())
        };
        tokio::try_join!(saying, hearing)?;
        for _ in 0..count / 100 {
            let (mut reader, mut writer) = self.session(Protocol::V2).await?.into_split();
            let _ = writer.send_raw(RawFrame::binary(vec![7; 64])).await;
            while reader.receive().await.is_ok() {}
        }
        self.sent.frames.fetch_add((count + count / 100) as u64, Ordering::SeqCst);
        self.sent.broken.fetch_add((count / 100) as u64, Ordering::SeqCst);
        Ok(())
    }

    async fn tokens(&self, count: usize) -> anyhow::Result<()> {
        let all = tokens::all(&self.issuer, &self.other);
        let endpoint = Endpoint::new(&format!("ws://{}/stream", self.edge.http_addr()))?;
        let opening = stream::iter(all.iter().cycle().take(count)).map(|token| Session::open(&endpoint, token));
        let opened: Vec<_> = opening.buffer_unordered(AT_ONCE).collect().await;
        let let_in = opened.iter().filter(|opened| opened.is_ok()).count();
        ensure!(let_in == 0, "{let_in} of them were let in");
        self.sent.tokens.fetch_add(count as u64, Ordering::SeqCst);
        Ok(())
    }

    async fn requests(&self, service: &Service, path: &str, count: usize) -> anyhow::Result<()> {
        let all = requests::all(path);
        let asking = stream::iter(all.iter().cycle().take(count)).map(|(refused, bytes)| async move {
            let status = ask(service.http_addr(), bytes).await?;
            ensure!((400..500).contains(&status), "{status} for {refused:?} {:?}", String::from_utf8_lossy(bytes));
            anyhow::Ok(u64::from(*refused == Refused::Unreadable))
        });
        let unreadable: Vec<u64> = asking.buffer_unordered(AT_ONCE).try_collect().await?;
        self.sent.unreadable.fetch_add(unreadable.iter().sum(), Ordering::SeqCst);
        Ok(())
    }

    async fn envelopes(&self, count: usize) -> anyhow::Result<()> {
        let session = self.session(Protocol::V2).await?;
        let sister = Sister::connect(&self.pubsub.url()).await?;
        let all = envelopes::all(&session.connected().client_id);
        for (_, channel, payload) in all.iter().cycle().take(count) {
            sister.publish(channel, payload.clone()).await?;
        }
        self.sent.envelopes.fetch_add(count as u64, Ordering::SeqCst);
        // As long as it is subscribed to.
        eventually(Duration::from_secs(60), || async { self.heard_all_envelopes().await }).await;
        drop(session);
        Ok(())
    }

    async fn heard_all_envelopes(&self) -> Result<(), String> {
        let (sent, heard) = (
            self.sent.envelopes.load(Ordering::SeqCst) as f64,
            self.edge.metrics().await.sum("signal_edge_bus_refused_total", &[]),
        );
        if heard == sent { Ok(()) } else { Err(format!("{heard} of {sent} envelopes")) }
    }

    async fn records(&self, count: usize) -> anyhow::Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("linger.ms", "5");
        let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
        let all = records::all();
        for (_, value) in all.iter().cycle().take(count) {
            producer.send(BaseRecord::<(), [u8]>::to(&self.topic).payload(value)).map_err(|(error, _)| error)?;
        }
        producer.flush(Duration::from_secs(60))?;
        self.sent.records.fetch_add(count as u64, Ordering::SeqCst);
        Ok(())
    }

    /// Waits until every counter says what was sent; one that says more never comes to that.
    async fn adds_up(&self, size: Size) {
        eventually(size.within, || async {
            let (edge, worker) = (self.edge.metrics().await, self.worker.metrics().await);
            let sent = |count: &AtomicU64| count.load(Ordering::SeqCst) as f64;
            let verified = |result: &[(&str, &str)]| edge.sum("signal_token_verifications_total", result);
            let unreadable = "signal_http_malformed_requests_total";
            let counted = [
                ("frames", edge.sum("signal_edge_inbound_refused_total", &[]), sent(&self.sent.frames)),
                ("closes", edge.sum("signal_edge_closes_total", &[("code", "4006")]), sent(&self.sent.broken)),
                ("tokens", edge.sum("signal_edge_closes_total", &[("code", "4003")]), sent(&self.sent.tokens)),
                (
                    "requests that are none",
                    edge.sum(unreadable, &[]) + worker.sum(unreadable, &[]),
                    sent(&self.sent.unreadable),
                ),
                ("records", worker.sum("signal_worker_records_rejected_total", &[]), sent(&self.sent.records)),
                ("dead letters", worker.sum("signal_worker_dead_letters_total", &[]), sent(&self.sent.records)),
            ];
            let wrong: Vec<_> = counted.iter().filter(|(_, counted, sent)| counted != sent).collect();
            let refused = verified(&[]) - verified(&[("result", "accepted")]);
            if wrong.is_empty() && refused >= sent(&self.sent.tokens) {
                Ok(())
            } else {
                Err(format!("{wrong:?}; {refused} tokens refused"))
            }
        })
        .await;
    }
}

/// The status of the answer.
async fn ask(addr: SocketAddr, request: &[u8]) -> anyhow::Result<u16> {
    let mut socket = TcpStream::connect(addr).await?;
    // It may be refused before it is read.
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await.context("no end")?;
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("{text:?} to {:?}", String::from_utf8_lossy(request)))
}
