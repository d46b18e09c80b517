//! Packets that vanish: the backplane is behind a router, in namespaces of its own, which drops what it likes.

use std::time::Instant;

use anyhow::{Context, ensure};
use signal_harness::{Chaos, Network, eventually};

use super::{
    Findings, Size,
    outage::fence,
    scene::{PACE, Scene, nobody_was_dropped, nothing_is_missing, readiness, seconds},
};
use crate::ledger::Traffic;

const LOSS_PERCENT: u32 = 2;

/// # Errors
/// If there is no network to be had, the edge does not notice, or anybody misses a message.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let network = Network::build().map_err(anyhow::Error::msg).context("no network")?;
    let scene = Scene::set().await;
    let far = Chaos::on(network.listen(), ([127, 0, 0, 1], scene.pubsub.port()).into());
    let edge = scene.edge_by(far.addr()).spawn();
    edge.wait_ready(size.within).await;
    let people = scene.people(edge.http_addr(), "user", size.clients / 5).await?;
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "first messages", |person| person.knows_all(2)).await;

    network.lose(LOSS_PERCENT);
    let until = scene.ledger.len() + 4 * size.away.as_secs();
    people.all(size.within, "messages", |person| person.knows_all(until)).await;
    let told = people.count(|person| person.resyncs > 0);
    let lossy = format!("{LOSS_PERCENT} % of packets lost: everything came, {told} clients were told to read again");

    network.silence();
    let began = Instant::now();
    readiness(&edge, size.within, 503).await;
    let noticed = seconds(began.elapsed());
    eventually(size.within, || async { began.elapsed() >= size.away }).await;
    network.clear();
    let healed = Instant::now();
    readiness(&edge, size.within, 200).await;
    people.all(size.within, "told to read again", |person| person.resyncs > usize::from(told > 0)).await;
    let back = seconds(healed.elapsed());
    traffic.end().await;
    fence(&scene).await?;
    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    nobody_was_dropped(&people)?;
    ensure!(edge.exited().is_none(), "the edge has ended");
    Ok(vec![
        lossy,
        format!(
            "all packets dropped: not ready after {noticed}; ready and all {} clients told {back} after the last",
            people.len()
        ),
        format!("{} messages, of which nobody lacks one", scene.ledger.len()),
    ])
}
