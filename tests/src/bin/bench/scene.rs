//! The edge under measurement, with its own backplane and issuer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use signal_harness::{Issuer, Launch, Nats, PubSub, Redis, Server, Service, eventually, scratch_dir};
use signal_tests::{cpu::Cpu, launch::on, operator::Operator, sister::Sister};

use crate::crowd::Crowd;

const START: Duration = Duration::from_secs(30);
/// Memory that moves by less between two looks has settled.
const SETTLED_KIB: f64 = 64.0;
const PADDING: usize = 256;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Backplane {
    Redis,
    Nats,
}

impl Backplane {
    async fn launch(self) -> anyhow::Result<PubSub> {
        let available = match self {
            Self::Redis => Redis::available(),
            Self::Nats => Nats::available(),
        };
        available.map_err(anyhow::Error::msg)?;
        Ok(match self {
            Self::Redis => PubSub::Redis(Redis::launch().await),
            Self::Nats => PubSub::Nats(Nats::launch().await),
        })
    }
}

pub(crate) struct Scene {
    pub(crate) edge: Service,
    pub(crate) issuer: Issuer,
    pub(crate) pubsub: PubSub,
    sister: Sister,
}

impl Scene {
    pub(crate) async fn up(backplane: Backplane) -> anyhow::Result<Self> {
        let (pubsub, issuer) = tokio::join!(backplane.launch(), Issuer::launch());
        let pubsub = pubsub?;
        let edge = launch(&pubsub, &issuer).spawn();
        edge.wait_ready(START).await;
        let sister = Sister::connect(&pubsub.url()).await.context("no connection to the backplane")?;
        Ok(Self { edge, issuer, pubsub, sister })
    }

    /// One more edge beside the first.
    pub(crate) async fn another(&self, configure: impl FnOnce(Launch) -> Launch) -> Service {
        let edge = configure(launch(&self.pubsub, &self.issuer)).spawn();
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
        self.sister.publish(&format!("ws:user:{user}"), payload).await
    }

    /// Publishes a message to each of the crowd, a hundred at once, and waits until all have theirs.
    pub(crate) async fn push_to_each(&self, crowd: &Crowd) -> anyhow::Result<()> {
        let users: Vec<_> = (0..crowd.len()).map(user).collect();
        for users in users.chunks(100) {
            let messages = users.iter().map(|user| {
                let kind = format!(r#""type":"user","target":"{user}""#);
                (format!("ws:user:{user}"), payload(&kind, micros(), PADDING))
            });
            crowd.expect(users.len());
            self.sister.publish_all(messages).await?;
            crowd.all_arrived().await?;
        }
        Ok(())
    }

    /// As [`Scene::broadcast`], of one message of this size.
    pub(crate) async fn broadcast_large(&self, crowd: &Crowd, padding: usize) -> anyhow::Result<()> {
        let payload = payload(r#""type":"broadcast""#, micros(), padding);
        crowd.expect(crowd.len());
        self.sister.publish("ws:broadcast", payload).await?;
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
        let messages = (0..burst).map(|number| (channel, payload(kind, micros() + number as u64, PADDING)));
        crowd.expect(burst * audience);
        self.sister.publish_all(messages).await.context("the backplane takes no messages")?;
        crowd.all_arrived().await
    }
}

fn launch(pubsub: &PubSub, issuer: &Issuer) -> Launch {
    // An operator's role passes every check, but there must be something to ask for everybody else.
    let policies = scratch_dir("policies").join("policies.db");
    on(Service::edge(), pubsub)
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
