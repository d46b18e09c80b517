//! The worker: activity events from Kafka become rows and pushes.
//!
//! The files are the route of a record: [`consume`], [`selection`], [`resolve`], [`compose`], [`persist`], [`publish`].
//! [`pipeline`] puts them in order, [`app`] wires them, [`store`] is all that knows SQL. [`replay`] leads records of the
//! past the same way.

pub mod app;
pub mod compose;
pub mod config;
pub mod consume;
pub mod metrics;
pub mod migrate;
pub mod persist;
pub mod pipeline;
pub mod publish;
pub mod record;
pub mod render;
pub mod replay;
pub mod resolve;
pub mod selection;
pub mod store;
