//! Late, uneven and lossy, to clients and to the backplane at once: everything comes, in order, and nobody is told that
//! anything was missed.

use std::time::Duration;

use anyhow::ensure;
use signal_harness::{Chaos, Link};

use super::{
    Findings, Size,
    outage::fence,
    scene::{PACE, Scene, nobody_was_dropped, nothing_is_missing},
};
use crate::ledger::Traffic;

/// 200 ms there and back, and one piece in fifty is sent again, which takes TCP a retransmission timeout or so.
pub const POOR: Link = Link {
    delay: Duration::from_millis(100),
    jitter: Duration::from_millis(40),
    stall: Some((50, Duration::from_millis(300))),
    ..Link::CLEAR
};

/// # Errors
/// If anything is missing or out of order, or anybody is dropped or told to read again.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let to_redis = Chaos::before(([127, 0, 0, 1], scene.pubsub.port()).into());
    to_redis.set(POOR);
    let edge = scene.edge_by(to_redis.addr()).spawn();
    edge.wait_ready(size.within).await;
    let to_edge = Chaos::before(edge.http_addr());
    to_edge.set(POOR);
    let people = scene.people(to_edge.addr(), "user", size.clients / 10).await?;
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE / 5);
    let messages = 20 * size.away.as_secs();
    people.all(size.within, "messages", |person| person.knows_all(messages)).await;
    traffic.end().await;
    fence(&scene).await?;
    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    nobody_was_dropped(&people)?;
    let told = people.count(|person| person.resyncs > 0);
    ensure!(told == 0, "{told} clients were told to read again although nothing was missed");
    ensure!(edge.health("ready").await?.status == 200, "the edge is not ready");
    Ok(vec![
        "200 ms there and back, up to 80 ms more, one piece in 50 held up for 300 ms; to clients and to Redis"
            .to_owned(),
        format!("{} clients have all {} messages in order, without a resync", people.len(), scene.ledger.len()),
    ])
}
