//! The way between clients and their edge: half-open, dead, or cut off in the middle of a frame.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signal_harness::{Chaos, Link, Way, eventually};

use super::{
    Findings, Size,
    outage::fence,
    scene::{PACE, Scene, holds, nothing_is_missing, seconds},
};
use crate::{balancer::Balancer, healing::Population, ledger::Traffic};

/// Sooner than a client's and an edge's own, so that it is noticed while somebody waits for it.
const HEARTBEAT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(6);

/// # Errors
/// If somebody does not come back, or misses a message, or the edge keeps what nobody is at the other end of.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let edge = scene.edge().env("SIGNAL_HEARTBEAT_INTERVAL", "1s");
    let edge = edge.env("SIGNAL_HEARTBEAT_TIMEOUT", format!("{}s", PATIENCE.as_secs())).spawn();
    edge.wait_ready(size.within).await;
    let files = edge.open_files();
    let chaos = Chaos::before(edge.http_addr());
    let balancer = Balancer::default();
    balancer.add(chaos.addr());
    let count = size.clients / 5;
    let people = Population::gather_as(scene.tokens("user", count), &balancer, &scene.ledger, |builder| {
        builder.heartbeat(HEARTBEAT).pong_timeout(PATIENCE)
    })
    .await?;
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "first messages", |person| person.knows_all(2)).await;

    let mut findings =
        vec![format!("{count} clients, heartbeats of {HEARTBEAT:?}, {PATIENCE:?} of patience at either end")];
    let mut sessions = 1;
    let began = Instant::now();
    chaos.strand();
    sessions += 1;
    people.all(size.within, "came back", |person| person.sessions >= sessions).await;
    findings.push(format!("dead connections: everybody is back after {}", seconds(began.elapsed())));
    let silent = || async { edge.metrics().await.sum("signal_edge_closes_total", &[("code", "4002")]) };
    eventually(size.within, || async {
        let closed = silent().await;
        if closed >= count as f64 { Ok(()) } else { Err(format!("{closed} of {count} closed with 4002")) }
    })
    .await;
    holds(&edge, count, size.within).await;

    chaos.silence();
    let began = Instant::now();
    eventually(size.within, || async { began.elapsed() >= size.away.max(2 * PATIENCE) }).await;
    holds(&edge, 0, size.within).await;
    chaos.clear();
    let healed = Instant::now();
    sessions += 1;
    people.all(size.within, "came back", |person| person.sessions >= sessions).await;
    findings.push(format!(
        "silence for {}: all closed, all back {} after it",
        seconds(began.elapsed()),
        seconds(healed.elapsed())
    ));

    // Somewhere in a frame, as often as there is something to say.
    chaos.set_way(Way::Back, Link { cut_after: Some(2500), ..Link::CLEAR });
    let before = chaos.accepted();
    eventually(size.within, || async { chaos.accepted() >= before + count as u64 }).await;
    chaos.clear();
    findings.push(format!("{} connections cut off within a frame", chaos.accepted() - before));
    traffic.end().await;
    holds(&edge, count, size.within).await;
    fence(&scene).await?;

    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    findings.push(format!("{} messages, of which nobody lacks one", scene.ledger.len()));
    drop(people);
    holds(&edge, 0, size.within).await;
    eventually(size.within, || async {
        let now = edge.open_files();
        if now <= files + 4 { Ok(()) } else { Err(format!("{now} open files, {files} before")) }
    })
    .await;
    ensure!(edge.exited().is_none(), "the edge has ended");
    Ok(findings)
}
