//! The edge under measurement, with its own Redis and issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use redis::aio::MultiplexedConnection;
use signal_harness::{Issuer, Launch, Redis, Server, Service, eventually, scratch_dir};
use signal_tests::{cpu::Cpu, operator::Operator};

use crate::crowd::Crowd;

const START: Duration = Duration::from_secs(30);
/// Memory that moves by less between two looks has settled.
const SETTLED_KIB: f64 = 64.0;
const PADDING: usize = 256;

pub(crate) struct Scene {
    pub(crate) edge: Service,
    pub(crate) issuer: Issuer,
    pub(crate) redis: Redis,
    publisher: MultiplexedConnection,
}

impl Scene {
    pub(crate) async fn up() -> anyhow::Result<Self> {
        ensure!(Redis::available().is_ok(), "the bench needs redis-server on the PATH");
        let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
        let edge = launch(&redis, &issuer).spawn();
        edge.wait_ready(START).await;
        let publisher = signal_tests::ledger::backplane(&redis.url()).await.context("no connection to Redis")?;
        Ok(Self { edge, issuer, redis, publisher })
    }

    /// One more edge beside the first.
    pub(crate) async fn another(&self, configure: impl FnOnce(Launch) -> Launch) -> Service {
        let edge = configure(launch(&self.redis, &self.issuer)).spawn();
        edge.wait_ready(START).await;
        edge
    }

    /// An operator who asks this edge, once it knows of so many.
    pub(crate) async fn operator(&self, edge: &Service, edges: usize) -> anyhow::Result<Operator> {
        let operator = Operator::new(edge.http_addr(), Some(Operator::token(&self.issuer)));
        eventually(START, || async {
            let status = operator.get("/status").await.map_err(|error| error.to_string())?.body;
            let known = status["cluster"]["edges"] == edges && status["cluster"]["complete"] == true;
            if known { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        Ok(operator)
    }

    /// Tokens of as many users.
    pub(crate) fn tokens(&self, count: usize) -> Vec<String> {
        (0..count).map(|number| self.issuer.token(&user(number))).collect()
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of(self.edge.pid())
    }

    /// Resident memory once it stays what it is for a second.
    pub(crate) async fn settled_rss_kib(&self) -> f64 {
        let mut history = Vec::new();
        eventually(START, || {
            history.push(self.edge.rss_kib() as f64);
            // `eventually` looks every few milliseconds; a hundred looks are more than a second.
            let recent = history.iter().rev().take(100);
            let (low, high) = recent.fold((f64::MAX, f64::MIN), |(low, high), rss| (rss.min(low), rss.max(high)));
            let settled = history.len() >= 100 && high - low <= SETTLED_KIB;
            let last = history[history.len() - 1];
            async move { if settled { Ok(last) } else { Err(format!("{low} to {high} KiB")) } }
        })
        .await
    }

    /// Publishes to everybody, `burst` messages at once, and waits until each of the crowd has them.
    pub(crate) async fn broadcast(&self, crowd: &Crowd, burst: usize) -> anyhow::Result<()> {
        self.publish(crowd, "ws:broadcast", r#""type":"broadcast""#, burst, crowd.len()).await
    }

    /// Publishes to the first of the crowd and waits until it has the message.
    pub(crate) async fn push(&self, crowd: &Crowd) -> anyhow::Result<()> {
        let user = user(0);
        let kind = format!(r#""type":"user","target":"{user}""#);
        self.publish(crowd, &format!("ws:user:{user}"), &kind, 1, 1).await
    }

    /// Publishes to the first of the crowd and returns at once.
    pub(crate) async fn push_and_go(&self) -> anyhow::Result<()> {
        let user = user(0);
        let payload = payload(&format!(r#""type":"user","target":"{user}""#), micros(), PADDING);
        redis::pipe().publish(format!("ws:user:{user}"), payload).exec_async(&mut self.publisher.clone()).await?;
        Ok(())
    }

    /// As [`Scene::broadcast`], of one message of this size.
    pub(crate) async fn broadcast_large(&self, crowd: &Crowd, padding: usize) -> anyhow::Result<()> {
        let payload = payload(r#""type":"broadcast""#, micros(), padding);
        crowd.expect(crowd.len());
        redis::pipe().publish("ws:broadcast", payload).exec_async(&mut self.publisher.clone()).await?;
        crowd.all_arrived().await
    }

    async fn publish(
        &self,
        crowd: &Crowd,
        channel: &str,
        kind: &str,
        burst: usize,
        audience: usize,
    ) -> anyhow::Result<()> {
        let mut pipeline = redis::pipe();
        for number in 0..burst {
            pipeline.publish(channel, payload(kind, micros() + number as u64, PADDING)).ignore();
        }
        crowd.expect(burst * audience);
        pipeline.exec_async(&mut self.publisher.clone()).await.context("Redis takes no messages")?;
        crowd.all_arrived().await
    }
}

fn launch(redis: &Redis, issuer: &Issuer) -> Launch {
    // An operator's role passes every check, but there must be something to ask for everybody else.
    let policies = scratch_dir("policies").join("policies.db");
    Service::edge()
        .env("SIGNAL_REDIS_URL", redis.url())
        .env("SIGNAL_JWKS_URL", issuer.jwks_url())
        .env("SIGNAL_DATABASE_URL", format!("sqlite://{}", policies.display()))
        // The crowd is silent: a heartbeat in the middle of a measurement would be counted.
        .env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s")
        .env("SIGNAL_LOG", "warn")
}

fn payload(kind: &str, t: u64, padding: usize) -> String {
    let pad = "x".repeat(padding);
    format!(r#"{{"serverId":"emitter",{kind},"event":"bench","data":{{"t":{t},"pad":"{pad}"}}}}"#)
}

pub(crate) fn user(number: usize) -> String {
    format!("bench-{number}")
}

pub(crate) fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).expect("microseconds since 1970 fit 64 bits for 500,000 years")
}
