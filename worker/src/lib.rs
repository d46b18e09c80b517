//! The worker: activity events from Kafka become rows and pushes.
//!
//! The files are the route of a record: [`consume`], [`selection`], [`resolve`], [`compose`], [`persist`], [`publish`], or
//! for one that can't be handled [`dead_letters`]. [`pipeline`] puts them in order, [`inbox`] is where people read what
//! came of it, [`app`] wires them, [`store`] is all that knows SQL. [`replay`] leads records of the past the same way, and
//! [`explain`] says what became of one.

pub mod app;
pub mod compose;
pub mod config;
pub mod consume;
pub mod dead_letters;
pub mod explain;
pub mod inbox;
pub mod journal;
pub mod metrics;
pub mod migrate;
pub mod persist;
pub mod pipeline;
pub mod publish;
pub mod record;
pub mod rejection;
pub mod render;
pub mod replay;
pub mod resolve;
pub mod selection;
pub mod store;
mod trace;
