//! The worker: activity events from Kafka become rows and pushes.
//!
//! The files are the route of a record: [`consume`], [`resolve`], [`compose`], [`persist`], [`publish`]. [`pipeline`]
//! puts them in order, [`inbox`] is where people read what came of it, [`app`] wires them, [`store`] is all that knows
//! SQL.

pub mod app;
pub mod compose;
pub mod config;
pub mod consume;
pub mod inbox;
pub mod metrics;
pub mod migrate;
pub mod persist;
pub mod pipeline;
pub mod publish;
pub mod record;
pub mod render;
pub mod resolve;
pub mod store;
