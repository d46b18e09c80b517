//! The whole service in one process: what `make run` starts.
//!
//! Edge and worker run as the libraries that they are; what they talk to is embedded and
//! keeps its state in one folder (`./.signal`, `SIGNAL_DATA_DIR`):
//!
//! | part | embedded | steps aside for |
//! |---|---|---|
//! | database | a SQLite file with the core tables and the demo's people | `SIGNAL_DATABASE_URL` |
//! | backplane | a bus within the process | `SIGNAL_REDIS_URL` or `SIGNAL_NATS_URL` |
//! | broker | librdkafka's in-process broker, which forgets with the process | `SIGNAL_KAFKA_BROKERS` |
//! | issuer | an ES256 key of its own, tokens for the demo's people | `SIGNAL_JWKS_URL` |
//!
//! [`app`] wires; [`worker_stop`] ends the worker behind all that feeds it; [`config`] says
//! what can be set; [`demo`] is the page and its API; [`embedded`] has the parts. The demo
//! signs anybody in as anybody, which is why the binary listens on loopback unless it is
//! told otherwise in as many words.

pub mod app;
pub mod config;
pub mod demo;
pub mod embedded;
pub mod openapi;
pub mod reference;
pub mod worker_stop;
