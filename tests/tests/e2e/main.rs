//! End to end: Signal's own binaries against real Postgres, Redis and Apache Kafka.
//!
//! One binary, so that all scenarios share one Postgres and one Kafka.

#![allow(unreachable_pub, reason = "a test binary has no outside")]
#![allow(clippy::print_stdout, reason = "figures that decide nothing, for whoever asks with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crowd;
mod dead_letters;
mod delivery;
mod drain;
mod embedded;
mod emitter;
mod fleet;
mod inbox;
mod kafka_security;
mod malformed;
mod order;
mod outage;
mod platform;
mod recovery;
mod refusals;
mod replay;
mod rotation;
mod share;
mod slow_readers;
mod stranger;
mod stream;
mod tidy;
mod topology;
mod traces;
mod window;
