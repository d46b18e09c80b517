//! Real servers for tests, as child processes on free ports.
//!
//! Everything here fails by panicking with what a person needs to know: a test that cannot
//! have its server has nothing to return an error to. Servers listen on 127.0.0.1 alone,
//! keep their data in a temporary folder, and die with the value that started them, with the
//! test process, or with a panic, whichever comes first.
//!
//! ```no_run
//! # async fn example() {
//! use signal_harness::{Postgres, Redis, require};
//!
//! require!(Postgres, Redis);
//! let database = Postgres::shared().await.database("create table t (id int)").await;
//! let redis = Redis::launch().await;
//! redis.stop().await;
//! redis.start().await;
//! # }
//! ```
#![allow(clippy::unwrap_used, reason = "a harness has nobody to return an error to")]

mod availability;
mod chaos;
mod eventually;
mod http;
mod identity;
mod issuer;
mod kafka;
mod kcat;
mod nats;
mod network;
mod nginx;
mod pem;
mod port;
mod postgres;
mod process;
mod program;
mod prometheus;
mod pubsub;
mod redis;
mod restartable;
mod samples;
mod scratch;
mod service;

pub use availability::{Server, available_or_skip};
pub use chaos::{Chaos, Link, Way};
pub use eventually::{Observation, eventually};
pub use http::{Response, get};
pub use identity::identity_key;
pub use issuer::{Algorithm, Issuer};
pub use kafka::{Kafka, KafkaTls};
pub use kcat::{Consumed, Kcat, Record};
pub use nats::{Nats, NatsCluster};
pub use network::Network;
pub use nginx::Nginx;
pub use port::free_port;
pub use postgres::{Database, Postgres};
pub use process::{Process, Signal};
pub use prometheus::Prometheus;
pub use pubsub::{BackplaneAddress, PubSub};
pub use redis::{Certificates, Redis, RedisCluster, RedisSentinel, RedisTls};
pub use restartable::Restartable;
pub use samples::Samples;
pub use scratch::scratch_dir;
pub use service::{Finished, Launch, Service};
