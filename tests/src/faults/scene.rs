//! What most faults befall: a backplane, an issuer, edges, and SDK clients that are sent numbered messages all the time.

use std::{fmt, time::Duration};

use anyhow::ensure;
use serde_json::json;
use signal_harness::{Issuer, Launch, PubSub, Service, eventually, scratch_dir};

use crate::{balancer::Balancer, healing::Population, launch, ledger::Ledger, operator::Operator};

/// Of the messages to everybody.
pub const PACE: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Scene {
    pub pubsub: PubSub,
    pub issuer: Issuer,
    pub ledger: Ledger,
}

impl Scene {
    pub async fn set() -> Self {
        let (pubsub, issuer) = tokio::join!(PubSub::launch(), Issuer::launch());
        Self { pubsub, issuer, ledger: Ledger::default() }
    }

    /// An edge with a database in which nobody holds anything, so that operators can be told apart.
    pub fn edge(&self) -> Launch {
        let policies = format!("sqlite://{}", scratch_dir("policies").join("policies.db").display());
        launch::edge(&self.pubsub, &self.issuer).env("SIGNAL_DATABASE_URL", policies)
    }

    /// One that reaches the backplane by a detour, such as a bad network.
    pub fn edge_by(&self, detour: std::net::SocketAddr) -> Launch {
        let (variable, url) = self.pubsub.setting_by(detour);
        self.edge().env(variable, url)
    }

    pub fn tokens(&self, prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|number| self.issuer.token(&format!("{prefix}-{number}"))).collect()
    }

    pub fn operator(&self, edge: &Service) -> Operator {
        Operator::new(edge.http_addr(), Some(Operator::token(&self.issuer)))
    }

    /// SDK clients of one edge, or of whatever stands before it.
    ///
    /// # Errors
    /// If one of them is not let in.
    pub async fn people(&self, at: std::net::SocketAddr, prefix: &str, count: usize) -> anyhow::Result<Population> {
        let balancer = Balancer::default();
        balancer.add(at);
        Population::gather(self.tokens(prefix, count), &balancer, &self.ledger).await
    }
}

/// Says something to everybody, and whether all edges were told.
///
/// # Errors
/// If the edge refuses.
pub async fn say(operator: &Operator, event: &str) -> anyhow::Result<bool> {
    let answer = operator.ask(reqwest::Method::POST, "/broadcast", &json!({ "event": event })).await?;
    ensure!(answer.status == 202, "{} {}", answer.status, answer.body);
    Ok(answer.body["complete"] == true)
}

/// Waits until readiness has this status, and returns what is said.
pub async fn readiness(service: &Service, within: Duration, expected: u16) -> String {
    service
        .wait_until(within, || async {
            let ready = service.health("ready").await.map_err(|error| error.to_string())?;
            if ready.status == expected { Ok(ready.body) } else { Err(format!("{} {}", ready.status, ready.body)) }
        })
        .await
}

/// Nobody was disconnected, heard anything twice or out of order, or lacks a message.
///
/// # Errors
/// If somebody was, did or does.
pub async fn nothing_is_missing(people: &Population, ledger: &Ledger, within: Duration) -> anyhow::Result<()> {
    let said = ledger.len();
    people.all(within, "knows everything", |person| person.knows_all(said)).await;
    let complaints = people.complaints();
    ensure!(complaints.is_empty(), "{} complaints, such as {}", complaints.len(), complaints[0]);
    Ok(())
}

/// Everybody has the session that they began with.
///
/// # Errors
/// If somebody has another.
pub fn nobody_was_dropped(people: &Population) -> anyhow::Result<()> {
    let dropped = people.count(|person| person.sessions > 1 || !person.ended.is_empty());
    ensure!(dropped == 0, "{dropped} of {} clients were dropped", people.len());
    Ok(())
}

/// In tenths of a second.
pub fn seconds(time: Duration) -> impl fmt::Display {
    format!("{:.1} s", time.as_secs_f64())
}

/// In tenths of a MiB.
pub fn mib(kib: u64) -> impl fmt::Display {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}

/// Waits until an edge holds so many clients.
pub async fn holds(edge: &Service, clients: usize, within: Duration) {
    eventually(within, || async {
        let held = edge.metrics().await.sum("signal_edge_connections", &[]);
        if held == clients as f64 { Ok(()) } else { Err(format!("{held} of {clients} clients")) }
    })
    .await;
}
