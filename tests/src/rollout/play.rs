//! Three edges and two workers become another version and then what they were, under load.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::ensure;
use signal_harness::{Kafka, Launch, Postgres, eventually};
use tokio::{sync::oneshot, time::interval};

use super::{
    Scale,
    deployment::Deployment,
    endpoints::Endpoints,
    promise::{Returns, ended_in_order, nothing_is_missing, pushes_went_on, was_never_short},
};
use crate::{
    balancer::Balancer,
    capacity::fleet::moves_in_a_rollout,
    healing::Population,
    launch,
    ledger::Ledger,
    sister::Sister,
    stream::{outcome::Outcome, run::Run, stage::Stage},
};

/// The version before, and the one after: other settings, so that both are what they are called.
const BEFORE: &str = "1";
const AFTER: &str = "2";

/// What came of it; that it was what was promised is checked.
#[derive(Debug)]
pub struct Played {
    pub clients: usize,
    pub pushes: u64,
    pub returns: Returns,
    /// How often a client moved, on average, for each of the two rollouts.
    pub moves: f64,
    pub replicas: usize,
    pub longest_stop: Duration,
    /// Both rollouts, until all that were replaced had stopped.
    pub took: Duration,
    pub outcome: Outcome,
}

/// # Errors
/// If a promise was not kept: which, in words.
pub async fn play(postgres: &Postgres, kafka: &Kafka, scale: Scale, seed: u64) -> anyhow::Result<Played> {
    let stage = Stage::set(postgres, kafka, scale.stream).await?;
    let (balancer, within) = (Balancer::in_turn(), scale.stream.within);
    let endpoints = Endpoints::of(balancer.clone(), scale.propagation);
    let (edges, workers) = tokio::join!(
        Deployment::up(scale.edges, BEFORE, Some(endpoints), within, |version| edge(&stage, &scale, version)),
        Deployment::up(scale.workers, BEFORE, None, within, |version| worker(&stage, version)),
    );
    let (mut edges, mut workers) = (edges?, workers?);
    let ledger = Ledger::default();
    let tokens = (0..scale.clients).map(|number| stage.issuer.token(&client(number))).collect();
    let population = Population::gather(tokens, &balancer, &ledger).await?;
    let run = Run::through(&stage, seed, &balancer).await?;
    let (stop, stopped) = oneshot::channel();
    let pushing = tokio::spawn(push(stage.pubsub.url(), ledger.clone(), scale, stopped));
    everybody_knows(&population, 2, &scale).await;

    let began = Instant::now();
    for version in [AFTER, BEFORE] {
        tokio::try_join!(edges.roll_out(version, within), workers.roll_out(version, within))?;
    }
    let (edge_endings, worker_endings) = (edges.endings().await?, workers.endings().await?);
    let took = began.elapsed();
    // Not in the middle of one: it would be in the list, and be pushed to nobody.
    ensure!(stop.send(()).is_ok(), "the pushes ended before the rollouts did: {:?}", pushing.await);
    pushing.await??;
    everybody_knows(&population, ledger.len(), &scale).await;

    was_never_short("edges", &edges, scale.edges.replicas)?;
    was_never_short("workers", &workers, scale.workers.replicas)?;
    ended_in_order(&edge_endings, scale.deadline)?;
    ended_in_order(&worker_endings, scale.workers.grace)?;
    pushes_went_on(&edge_endings)?;
    nothing_is_missing(&population, ledger.len())?;
    let returns = Returns::since(began, &balancer, &edge_endings, &scale);
    returns.check()?;
    let outcome = run.finish().await?;
    let clients = scale.clients + scale.stream.windows;
    Ok(Played {
        clients,
        pushes: ledger.len(),
        returns,
        moves: returns.connections as f64 / clients as f64 / 2.0,
        replicas: scale.edges.replicas,
        longest_stop: edge_endings.iter().map(|ending| ending.took).max().unwrap_or_default(),
        took,
        outcome,
    })
}

fn edge(stage: &Stage<'_>, scale: &Scale, version: &str) -> Launch {
    launch::edge(&stage.pubsub, &stage.issuer)
        .env("SIGNAL_DRAIN_WINDOW", format!("{}ms", scale.drain_window.as_millis()))
        .env("SIGNAL_SHUTDOWN_DEADLINE", format!("{}s", scale.deadline.as_secs()))
        .env("SIGNAL_OUTBOUND_LIMIT", format!("{version}MiB"))
}

fn worker(stage: &Stage<'_>, version: &str) -> Launch {
    stage.worker().env("SIGNAL_BATCH_WAIT", format!("{version}0ms"))
}

fn client(number: usize) -> String {
    format!("client-{number}")
}

/// Numbered messages: to everybody, to a room that everybody is in, and to each person; each client gets every number.
async fn push(url: String, ledger: Ledger, scale: Scale, mut stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let sister = Sister::connect(&url).await?;
    let mut ticks = interval(scale.between_pushes);
    loop {
        tokio::select! {
            _ = &mut stopped => return Ok(()),
            _ = ticks.tick() => {}
        }
        ledger.publish_by_turns(&sister, (0..scale.clients).map(client)).await?;
    }
}

async fn everybody_knows(population: &Population, pushes: u64, scale: &Scale) {
    eventually(scale.stream.within, || async {
        let know = population.count(|person| person.knows_all(pushes));
        if know == population.len() { Ok(()) } else { Err(format!("{know} of {} know {pushes}", population.len())) }
    })
    .await;
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, pushes, returns, moves, replicas, longest_stop, took, outcome } = self;
        let expected = moves_in_a_rollout(*replicas as f64);
        write!(
            f,
            "{replicas} edges to another version and back in {:.0} s: {clients} clients moved {moves:.2} times for each ({expected:.2} \
             expected), {} connections in the busiest second, {:.2} times the even rate, {} refused; {pushes} pushes of \
             sister services; the longest stop took {:.1} s; {outcome}",
            took.as_secs_f64(),
            returns.most,
            returns.most as f64 / returns.even,
            returns.refused,
            longest_stop.as_secs_f64(),
        )
    }
}
