//! The edge under measurement, with its own Redis and issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use redis::aio::MultiplexedConnection;
use signal_harness::{Issuer, Redis, Server, Service, eventually};

use crate::{cpu::Cpu, crowd::Crowd};

const START: Duration = Duration::from_secs(30);
/// Memory that moves by less between two looks has settled.
const SETTLED_KIB: f64 = 64.0;
const PADDING: usize = 256;

pub(crate) struct Scene {
    pub(crate) edge: Service,
    issuer: Issuer,
    publisher: MultiplexedConnection,
    _redis: Redis,
}

impl Scene {
    pub(crate) async fn up() -> anyhow::Result<Self> {
        ensure!(Redis::available().is_ok(), "the bench needs redis-server on the PATH");
        let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
        let edge = Service::edge()
            .env("SIGNAL_REDIS_URL", redis.url())
            .env("SIGNAL_JWKS_URL", issuer.jwks_url())
            // The crowd is silent: a heartbeat in the middle of a measurement would be counted.
            .env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s")
            .env("SIGNAL_LOG", "warn")
            .spawn();
        edge.wait_ready(START).await;
        let client = redis::Client::open(redis.url())?;
        let publisher = client.get_multiplexed_async_connection().await.context("no connection to Redis")?;
        Ok(Self { edge, issuer, publisher, _redis: redis })
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
            let (t, pad) = (micros() + number as u64, "x".repeat(PADDING));
            let payload =
                format!(r#"{{"serverId":"emitter",{kind},"event":"bench","data":{{"t":{t},"pad":"{pad}"}}}}"#);
            pipeline.publish(channel, payload).ignore();
        }
        crowd.expect(burst * audience);
        pipeline.exec_async(&mut self.publisher.clone()).await.context("Redis takes no messages")?;
        crowd.all_arrived().await
    }
}

fn user(number: usize) -> String {
    format!("bench-{number}")
}

fn micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).expect("microseconds since 1970 fit 64 bits for 500,000 years")
}
