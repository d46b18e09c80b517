//! An edge that is told to stop: everybody is told when to leave, comes to another edge, and misses nothing.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signal_harness::{Launch, Service, Signal};

use super::{
    Findings, Size,
    scene::{PACE, Scene, holds, nothing_is_missing, seconds},
};
use crate::{
    balancer::Balancer,
    figures::most_within,
    healing::{Ended, Person, Population},
    ledger::Traffic,
};

/// Beside the window.
const REST: Duration = Duration::from_secs(17);

pub fn draining(edge: Launch, window: Duration) -> Launch {
    edge.env("SIGNAL_DRAIN_WINDOW", format!("{}s", window.as_secs()))
        .env("SIGNAL_SHUTDOWN_DEADLINE", format!("{}s", (window + REST).as_secs()))
}

/// Waits for the end of an edge that was told to stop, which must be an orderly one.
///
/// # Errors
/// If it is not, or too late.
pub async fn drains(edge: &Service, since: Instant, window: Duration) -> anyhow::Result<Duration> {
    let deadline = window + REST;
    let status = edge.wait_exit(2 * deadline).await;
    let (took, output) = (since.elapsed(), edge.output());
    ensure!(status.success() && output.contains("drained, stopping"), "{status}\n{output}");
    ensure!(!output.contains("deadline reached"), "{output}");
    ensure!(took < deadline + Duration::from_secs(5), "{took:?}\n{output}");
    Ok(took)
}

/// # Errors
/// If the edge does not end in order, somebody is not told, or misses a message.
pub async fn play(size: Size) -> anyhow::Result<Findings> {
    let scene = Scene::set().await;
    let launch = || draining(scene.edge(), size.drain_window).spawn();
    let (first, second) = (launch(), launch());
    tokio::join!(first.wait_ready(size.within), second.wait_ready(size.within));
    let balancer = Balancer::default();
    balancer.add(first.http_addr());
    balancer.add(second.http_addr());
    let people = Population::gather(scene.tokens("user", size.clients), &balancer, &scene.ledger).await?;
    holds(&first, size.clients, size.within).await;
    let traffic = Traffic::start(&scene.ledger, &scene.pubsub.url(), PACE);
    people.all(size.within, "heard of the first messages", |person| person.knows_all(2)).await;

    let said_before = scene.ledger.len();
    let announced = "signal_edge_reconnects_announced_total";
    first.signal(Signal::Term);
    let since = Instant::now();
    first
        .wait_until(size.within, || async {
            let told = first.metrics().await.sum(announced, &[]);
            if told == size.clients as f64 { Ok(()) } else { Err(format!("{told} told")) }
        })
        .await;
    let took = drains(&first, since, size.drain_window).await?;
    people.all(size.within, "came back", |person| person.sessions >= 2).await;
    traffic.end().await;
    ensure!(scene.ledger.len() > said_before, "there were messages meanwhile");
    nothing_is_missing(&people, &scene.ledger, size.within).await?;
    let left = |person: &Person| matches!(person.ended.first(), Some(Ended::Draining | Ended::Closed(1001)));
    let otherwise = people.count(|person| !left(person));
    ensure!(otherwise == 0, "{otherwise} did not leave because they were told to");
    holds(&second, size.clients, size.within).await;

    let mut opened = balancer.opened(second.http_addr());
    let most = most_within(&mut opened, Duration::from_secs(1));
    let even = size.clients as f64 / size.drain_window.as_secs_f64();
    Ok(vec![
        format!("{} clients, all told; exit after {} of {:?}", size.clients, seconds(took), size.drain_window + REST),
        format!(
            "over a window of {:?}; {most} connections in the busiest second, {:.2} times the even rate",
            size.drain_window,
            most as f64 / even
        ),
        format!("{} messages, of which nobody lacks one", scene.ledger.len()),
    ])
}
