//! One of two edges loses the backplane, in every way that there is but a closed connection; the other does not notice.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signal_harness::{Chaos, Link, Service, Way, eventually};

use super::{
    Findings, Size,
    outage::fence,
    scene::{PACE, Scene, nobody_was_dropped, nothing_is_missing, readiness, say, seconds},
};
use crate::{
    healing::{Population, SAID},
    ledger::Traffic,
};

/// Two edges, one of them behind a bad network.
struct Split {
    scene: Scene,
    chaos: Chaos,
    blind: Service,
    sighted: Service,
    theirs: Population,
    others: Population,
}

/// # Errors
/// If an edge does not notice, its clients are not told or the other's are, or somebody misses a message.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let chaos = Chaos::before(([127, 0, 0, 1], scene.pubsub.port()).into());
    let blind = scene.edge_by(chaos.addr()).spawn();
    let sighted = scene.edge().spawn();
    tokio::join!(blind.wait_ready(size.within), sighted.wait_ready(size.within));
    let theirs = scene.people(blind.http_addr(), "blind", size.clients / 5).await?;
    let others = scene.people(sighted.http_addr(), "sighted", size.clients / 5).await?;
    let split = Split { scene, chaos, blind, sighted, theirs, others };
    split.cluster_is_complete(size).await;
    let traffic = Traffic::start(&split.scene.ledger, &split.scene.pubsub.url(), PACE);
    for people in [&split.theirs, &split.others] {
        people.all(size.within, "first messages", |person| person.knows_all(2)).await;
    }

    let mut findings = vec![format!("{} clients at each of two edges", split.theirs.len())];
    findings.push(split.half_open(size).await?);
    let mut told = 1;
    for (what, way) in [("what it says is lost", Way::There), ("what it is told is lost", Way::Back)] {
        let took = split.one_way(size, way).await;
        told += 1;
        split.told(size, told).await?;
        findings.push(format!("only {what}: noticed after {}", seconds(took)));
    }
    let took = split.stranded(size).await?;
    told += 1;
    split.told(size, told).await?;
    findings.push(format!("its connections dead while new ones pass: all is well again after {}", seconds(took)));
    traffic.end().await;
    split.cluster_is_complete(size).await;
    fence(&split.scene).await?;
    for people in [&split.theirs, &split.others] {
        nothing_is_missing(people, &split.scene.ledger, size.within).await?;
        nobody_was_dropped(people)?;
    }
    let disturbed = split.others.count(|person| person.resyncs > 0);
    ensure!(disturbed == 0, "{disturbed} clients of the edge that heard everything were told to read again");
    findings.push(format!("{} messages, of which nobody lacks one", split.scene.ledger.len()));
    Ok(findings)
}

impl Split {
    /// Silent, both ways, for all connections: the edge says that it is not ready, and serves whom it has.
    async fn half_open(&self, size: Size) -> anyhow::Result<String> {
        let operator = self.scene.operator(&self.blind);
        let began = Instant::now();
        self.chaos.silence();
        // Until its lease is over the other edge waits for it, and says that its answers are not complete.
        let elsewhere = self.scene.operator(&self.sighted);
        eventually(size.within, || async {
            let page = elsewhere.get("?limit=1").await.map_err(|error| error.to_string())?.body;
            if page["complete"] == false { Ok(()) } else { Err(page.to_string()) }
        })
        .await;
        let reason = readiness(&self.blind, size.within, 503).await;
        let noticed = began.elapsed();
        ensure!(reason.contains("nothing is heard from the backplane"), "{reason}");
        ensure!(self.sighted.health("ready").await?.status == 200, "the other edge is not ready");
        ensure!(!say(&operator, SAID).await?, "the other edge cannot have been told");
        let page = operator.get("?limit=1").await?.body;
        ensure!(page["complete"] == false, "an edge that sees no other says that its list is complete: {page}");
        self.theirs.all(size.within, "what was said on this edge", |person| person.said == 1).await;
        eventually(size.within, || async { began.elapsed() >= size.away }).await;
        self.chaos.clear();
        let healed = Instant::now();
        readiness(&self.blind, size.within, 200).await;
        self.told(size, 1).await?;
        let (noticed, back) = (seconds(noticed), seconds(healed.elapsed()));
        Ok(format!("half-open: not ready after {noticed}; back {back} after the network is"))
    }

    async fn losses(&self) -> f64 {
        self.blind.metrics().await.sum("signal_edge_bus_losses_total", &[])
    }

    /// How long it takes until it is noticed that one direction carries nothing.
    async fn one_way(&self, size: Size, way: Way) -> Duration {
        let (before, began) = (self.losses().await, Instant::now());
        self.chaos.set_way(way, Link::SILENT);
        eventually(size.within, || async { self.losses().await > before }).await;
        let noticed = began.elapsed();
        self.chaos.clear();
        noticed
    }

    /// How long it takes until both hear and are heard again.
    async fn stranded(&self, size: Size) -> anyhow::Result<Duration> {
        let (before, began) = (self.losses().await, Instant::now());
        // What was said while nothing passed may have come late, or never.
        let heard = self.others.ask(|person| person.said).into_iter().max().unwrap_or_default();
        self.chaos.strand();
        eventually(size.within, || async { self.losses().await > before }).await;
        let operator = self.scene.operator(&self.blind);
        eventually(size.within, || async { say(&operator, SAID).await.map_err(|error| error.to_string()) }).await;
        self.others.all(size.within, "what was said through the backplane", |person| person.said > heard).await;
        readiness(&self.blind, size.within, 200).await;
        Ok(began.elapsed())
    }

    /// The blind edge's clients were told so often, and no more often.
    async fn told(&self, size: Size, times: usize) -> anyhow::Result<()> {
        self.theirs.all(size.within, "told to read again", |person| person.resyncs >= times).await;
        let more = self.theirs.count(|person| person.resyncs > times);
        ensure!(more == 0, "{more} clients were told {} times of {times} outages", times + 1);
        Ok(())
    }

    async fn cluster_is_complete(&self, size: Size) {
        for edge in [&self.blind, &self.sighted] {
            let operator = self.scene.operator(edge);
            eventually(size.within, || async {
                let status = operator.get("/status").await.map_err(|error| error.to_string())?.body;
                let seen = (&status["cluster"]["complete"], &status["cluster"]["edges"]);
                if seen == (&true.into(), &2.into()) { Ok(()) } else { Err(status.to_string()) }
            })
            .await;
        }
    }
}
