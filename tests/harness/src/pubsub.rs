//! The backplane of a scenario that runs on any: Redis, or what the environment of the test run names.

use std::net::SocketAddr;

use crate::{Nats, NatsCluster, Redis, RedisCluster, RedisSentinel, Server};

/// Where a process of Signal finds its backplane.
pub trait BackplaneAddress {
    /// The variable that says so, and its value.
    fn setting(&self) -> (&'static str, String);
}

macro_rules! address {
    ($variable:literal: $($server:ty),+) => {
        $(
            impl BackplaneAddress for $server {
                fn setting(&self) -> (&'static str, String) {
                    ($variable, self.url())
                }
            }
        )+
    };
}
address!("SIGNAL_REDIS_URL": Redis, RedisCluster, RedisSentinel);
address!("SIGNAL_NATS_URL": Nats, NatsCluster);

/// A server of the kind that `SIGNAL_TEST_BACKPLANE` names, `redis` or `nats`; without it Redis.
#[derive(Debug)]
pub enum PubSub {
    Redis(Redis),
    Nats(Nats),
}

impl Server for PubSub {
    const NAME: &'static str = "the backplane";

    fn available() -> Result<(), String> {
        if is_nats() { Nats::available() } else { Redis::available() }
    }
}

macro_rules! each {
    ($server:expr, $one:ident => $what:expr) => {
        match $server {
            PubSub::Redis($one) => $what,
            PubSub::Nats($one) => $what,
        }
    };
}

impl PubSub {
    pub async fn launch() -> PubSub {
        let server = PubSub::reserved();
        server.start().await;
        server
    }

    /// An address, with nobody there until `start`.
    pub fn reserved() -> PubSub {
        match is_nats() {
            // What is too large is an edge's to refuse, as on Redis.
            true => PubSub::Nats(Nats::reserved_with("max_payload: 8388608")),
            false => PubSub::Redis(Redis::reserved()),
        }
    }

    /// What it is called where Signal speaks of it.
    pub fn name(&self) -> &'static str {
        match self {
            PubSub::Redis(_) => Redis::NAME,
            PubSub::Nats(_) => Nats::NAME,
        }
    }

    pub fn url(&self) -> String {
        each!(self, server => server.url())
    }

    pub fn port(&self) -> u16 {
        each!(self, server => server.port())
    }

    pub fn pid(&self) -> u32 {
        each!(self, server => server.pid())
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        each!(self, server => server.rss_kib())
    }

    /// How a process is told of it that reaches it by another address, such as a proxy's.
    pub fn setting_by(&self, address: SocketAddr) -> (&'static str, String) {
        let (variable, url) = self.setting();
        (variable, url.replace(&format!("127.0.0.1:{}", self.port()), &address.to_string()))
    }

    pub async fn start(&self) {
        each!(self, server => server.start().await);
    }

    /// Cuts every connection and leaves the port closed.
    pub async fn stop(&self) {
        each!(self, server => server.stop().await);
    }

    pub async fn restart(&self) {
        each!(self, server => server.restart().await);
    }

    /// Freezes the server: connections stay open and nothing is answered.
    pub fn pause(&self) {
        each!(self, server => server.pause());
    }

    pub fn resume(&self) {
        each!(self, server => server.resume());
    }
}

impl BackplaneAddress for PubSub {
    fn setting(&self) -> (&'static str, String) {
        each!(self, server => server.setting())
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place where the suite asks what it runs on")]
fn is_nats() -> bool {
    match std::env::var("SIGNAL_TEST_BACKPLANE").as_deref() {
        Err(_) | Ok("" | "redis") => false,
        Ok("nats") => true,
        Ok(other) => panic!("SIGNAL_TEST_BACKPLANE is redis or nats, not {other:?}"),
    }
}
