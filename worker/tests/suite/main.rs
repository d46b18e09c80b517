//! The worker from outside: the store on both databases, the pipeline on a store and a bus, the whole on Kafka.
#![allow(clippy::unwrap_used)]

mod binary;
mod bus;
mod consume;
mod fixture;
mod inbox;
mod interposed;
mod kafka;
mod pipeline;
mod publish;
mod store;
mod store_inbox;
