//! Clients that stop reading are sent away, and nobody else notices.

use std::{
    future::ready,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::future::join_all;
use signal_client::Session;
use signal_harness::{Service, eventually};
use tokio::task::JoinSet;

use super::{
    Findings, Size,
    scene::{Scene, mib},
};
use crate::{
    crowd::Crowd,
    figures::quantile,
    ledger,
    sister::Sister,
    stalled::{self, how_it_ended},
};

const READERS: usize = 100;
const OUTBOUND_LIMIT_KIB: u64 = 64;
const PADDING: usize = 16 * 1024;
/// Far more than fit into a connection on which nobody reads.
const MOST_MESSAGES: u64 = 1000;

struct Stage {
    scene: Scene,
    edge: Service,
    sister: Sister,
    readers: Crowd,
    sent: Vec<Instant>,
}

impl Stage {
    /// Publishes one message to everybody and waits until each of those who read has it.
    async fn broadcast(&mut self, within: Duration, padding: usize) -> anyhow::Result<()> {
        let envelope = ledger::envelope(self.sent.len() as u64, &"x".repeat(padding));
        self.sent.push(Instant::now());
        self.sister.publish("ws:broadcast", envelope).await?;
        let sent = self.sent.len();
        eventually(within, || {
            let have = self.readers.count(|heard| heard.numbers.len() == sent);
            ready(if have == READERS { Ok(()) } else { Err(format!("{have} readers have message {sent}")) })
        })
        .await;
        Ok(())
    }

    async fn closed_as_too_slow(&self) -> usize {
        self.edge.metrics().await.sum("signal_edge_closes_total", &[("code", "4008")]) as usize
    }

    /// From a publication until a reader has opened it, of messages from this one on.
    fn p99(&self, from: usize) -> f64 {
        let of = |came: &[Instant]| -> Vec<f64> {
            let pairs = came.iter().zip(&self.sent).skip(from);
            pairs.map(|(came, sent)| (*came - *sent).as_secs_f64() * 1000.0).collect()
        };
        quantile(&mut self.readers.ask(|heard| of(&heard.came)).concat(), 0.99)
    }
}

/// # Errors
/// If one is not closed, another is, a message is missing or out of order, or memory or files do not come back.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let edge = scene.edge();
    let edge = edge.env("SIGNAL_OUTBOUND_LIMIT", format!("{OUTBOUND_LIMIT_KIB}KiB"));
    let edge = edge.env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s").spawn();
    edge.wait_ready(size.within).await;
    let readers = Crowd::connect(edge.http_addr(), &scene.tokens("reader", READERS)).await?;
    let sister = Sister::connect(&scene.pubsub.url()).await?;
    let others = scene.tokens("other", size.stalled);
    let mut stage = Stage { scene, edge, sister, readers, sent: Vec::new() };
    for _ in 0..3 {
        stage.broadcast(size.within, PADDING).await?;
    }
    let files_before = stage.edge.open_files();

    // As many who read, for comparison.
    let mut reading = JoinSet::new();
    for session in stalled::open(stage.edge.http_addr(), &others).await? {
        reading.spawn(read_away(session));
    }
    let from = stage.sent.len();
    for _ in 0..20 {
        stage.broadcast(size.within, PADDING).await?;
    }
    let without = stage.p99(from);
    reading.shutdown().await;
    super::scene::holds(&stage.edge, READERS, size.within).await;

    let stalled = stalled::open(stage.edge.http_addr(), &others).await?;
    let before = stage.edge.rss_kib();
    let (mut most, from) = (before, stage.sent.len());
    while stage.closed_as_too_slow().await < size.stalled {
        ensure!((stage.sent.len() as u64) < MOST_MESSAGES, "{} closed", stage.closed_as_too_slow().await);
        stage.broadcast(size.within, PADDING).await?;
        most = most.max(stage.edge.rss_kib());
    }
    let with = stage.p99(from);
    ensure!(stage.closed_as_too_slow().await == size.stalled, "somebody else was closed");

    // Reading at last, they hear why; whoever comes too late finds the connection cut.
    let ended = join_all(stalled.into_iter().map(how_it_ended)).await;
    let told = ended.iter().filter(|code| **code == Some(4008)).count();
    let cut = ended.iter().filter(|code| code.is_none()).count();
    ensure!(told + cut == size.stalled, "{ended:?}");
    stage.readers.assert_nobody_left();
    let expected: Vec<u64> = (0..stage.sent.len() as u64).collect();
    ensure!(stage.readers.count(|heard| heard.numbers == expected) == READERS, "out of order, or not all");
    leaves_nothing(&stage.edge, size, before, files_before).await;
    stage.broadcast(size.within, 0).await?;
    drop(stage.scene);
    Ok(vec![
        format!("{} closed with 4008; {told} heard so, {cut} came too late", size.stalled),
        format!("{READERS} others have all {} messages in order", expected.len() + 1),
        format!("p99 of the others {with:.1} ms, {without:.1} ms where all read: {:.2} times", with / without),
        format!("memory {} before, {} at most, {} after", mib(before), mib(most), mib(stage.edge.rss_kib())),
    ])
}

/// Takes what comes, without opening it.
async fn read_away(session: Session) {
    let (mut reader, _writer) = session.into_split();
    while reader.receive_raw().await.is_ok() {}
}

async fn leaves_nothing(edge: &Service, size: Size, memory: u64, files_before: usize) {
    eventually(size.within, || async {
        let (clients, files) = (edge.metrics().await.sum("signal_edge_connections", &[]), edge.open_files());
        if clients == READERS as f64 && files <= files_before {
            Ok(())
        } else {
            Err(format!("{clients} clients, {files} files, before {files_before}"))
        }
    })
    .await;
    // Together they keep far more than what may be left over when they are gone.
    let limit = memory + size.stalled as u64 * OUTBOUND_LIMIT_KIB / 4;
    // The allocator gives back what it does not need as time goes by, and on occasion of other work.
    eventually(size.within, || {
        let ticking = edge.health("live");
        async move {
            ticking.await.map_err(|error| error.to_string())?;
            let now = edge.rss_kib();
            if now <= limit { Ok(()) } else { Err(format!("{now} KiB, {memory} before")) }
        }
    })
    .await;
}
