//! The worker from outside: the store on both databases, the pipeline on a store and a bus, the whole on Kafka.
#![allow(clippy::unwrap_used)]

mod binary;
mod bus;
mod commands;
mod consume;
mod dead_letters;
mod explain;
mod fixture;
mod half_open;
mod history;
mod inbox;
mod interposed;
mod kafka;
mod migrate;
mod pipeline;
mod publish;
mod range;
mod replay;
mod retry;
mod set_aside;
mod store;
mod store_inbox;
mod waiting;
