//! The backplane is killed under load, once for long or again and again: nobody is dropped, everybody is told, and what is
//! local goes on.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signal_harness::{PubSub, eventually};

use super::{
    Findings, Size,
    scene::{PACE, Scene, nobody_was_dropped, nothing_is_missing, say, seconds},
};
use crate::{healing::SAID, ledger::Traffic, sister::Sister};

/// What an operator says while there is no backplane.
const LOCAL: usize = 4;

/// Killed for as long as the size says.
///
/// # Errors
/// If somebody is dropped, told more than once, or misses a message.
pub async fn once(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let edge = scene.edge().spawn();
    edge.wait_ready(size.within).await;
    let people = scene.people(edge.http_addr(), "user", size.clients).await?;
    let operator = scene.operator(&edge);
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "first messages", |person| person.knows_all(2)).await;
    let channels = subscribed(&scene).await?;
    ensure!(people.count(|person| person.resyncs > 0) == 0, "told before anything happened");

    let away = Instant::now();
    scene.pubsub.stop().await;
    for said in 1..=LOCAL {
        ensure!(!say(&operator, SAID).await?, "the other edges cannot have been told");
        people.all(size.within, "what was said on this edge", |person| person.said == said).await;
    }
    eventually(size.within, || async { away.elapsed() >= size.away }).await;
    scene.pubsub.start().await;
    let back = Instant::now();
    eventually(size.within, || async {
        let now = subscribed(&scene).await.map_err(|error| error.to_string())?;
        if now >= channels { Ok(()) } else { Err(format!("{now} of {channels} channels")) }
    })
    .await;
    let resubscribed = back.elapsed();
    people.all(size.within, "told to read again", |person| person.resyncs >= 1).await;
    let told = back.elapsed();
    let before = scene.ledger.len();
    people.all(size.within, "hears again", |person| person.knows_all(before)).await;
    traffic.end().await;
    fence(&scene).await?;

    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    nobody_was_dropped(&people)?;
    let again = people.count(|person| person.resyncs != 1);
    ensure!(again == 0, "{again} clients were told more than once of one outage");
    Ok(vec![
        format!("{} clients, none dropped; each told once", people.len()),
        format!("{channels} channels subscribed {} after {} was back", seconds(resubscribed), scene.pubsub.name()),
        format!("everybody told after {}", seconds(told)),
        format!("{} messages, of which nobody lacks one", scene.ledger.len()),
    ])
}

/// Killed and started again and again, with hardly a moment between.
///
/// # Errors
/// As of [`once`], but for how often they are told.
pub async fn again_and_again(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let edge = scene.edge().spawn();
    edge.wait_ready(size.within).await;
    let people = scene.people(edge.http_addr(), "user", size.clients / 5).await?;
    let files = edge.open_files();
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "first messages", |person| person.knows_all(2)).await;
    let began = Instant::now();
    for restart in 0..size.restarts {
        scene.pubsub.restart().await;
        // Some are caught while they subscribe again, some once they have.
        let lasts = Duration::from_millis(150 * (restart as u64 % 4));
        let since = Instant::now();
        eventually(size.within, || async { since.elapsed() >= lasts }).await;
    }
    let took = began.elapsed();
    // What fails to be published once the edge is back is its publisher's to make good, and this one does not. So nobody
    // publishes after the last outage until everybody has been told of it.
    traffic.end().await;
    let told = people.ask(|person| person.resyncs);
    scene.pubsub.stop().await;
    scene.ledger.add();
    scene.pubsub.start().await;
    eventually(size.within, || async {
        let now = people.ask(|person| person.resyncs);
        let waiting = now.iter().zip(&told).filter(|(now, told)| now <= told).count();
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} have not been told")) }
    })
    .await;
    fence(&scene).await?;

    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    nobody_was_dropped(&people)?;
    let restarts = size.restarts + 1;
    let most = (0..=restarts).rev().find(|times| people.count(|person| person.resyncs == *times) > 0);
    let losses = edge.metrics().await.sum("signal_edge_bus_losses_total", &[]);
    ensure!(losses <= restarts as f64, "{losses} losses of {restarts} restarts");
    eventually(size.within, || async {
        let now = edge.open_files();
        if now <= files + 4 { Ok(()) } else { Err(format!("{now} open files, {files} before")) }
    })
    .await;
    Ok(vec![
        format!("{restarts} restarts, all but one within {}, {losses} of them noticed as a loss", seconds(took)),
        format!("{} clients, none dropped; told {} times at most", people.len(), most.unwrap_or_default()),
        format!("{} messages, of which nobody lacks one", scene.ledger.len()),
    ])
}

/// One more message, once everybody is sure to hear it.
pub(super) async fn fence(scene: &Scene) -> anyhow::Result<()> {
    let sister = Sister::connect(&scene.pubsub.url()).await?;
    scene.ledger.publish(&sister).await?;
    Ok(())
}

/// Channels that somebody is subscribed to, by the backplane's own count.
async fn subscribed(scene: &Scene) -> anyhow::Result<usize> {
    let channels = match &scene.pubsub {
        PubSub::Redis(redis) => redis.command(&["PUBSUB", "CHANNELS"]).await,
        PubSub::Nats(nats) => nats.subjects().await,
    };
    Ok(channels.map_err(anyhow::Error::msg)?.len())
}
