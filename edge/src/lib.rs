//! The edge: encrypted WebSockets and fan-out.
//!
//! A client's way in is the file list: `accept` (`admission`) -> `upgrade` -> `session` (`greeting`: `authenticate`,
//! `handshake`; then `live`) -> `registry`. A message's way out: `backplane_watch` -> `fanout` -> `registry` ->
//! `connection`; a client's: `watch`, `drain`. An operator's way: `api` -> `clients` (`permissions`) -> `cluster`.
//! [`app`] wires them.

mod accept;
mod admission;
mod api;
pub mod app;
mod authenticate;
mod backplane_watch;
mod bounded;
mod clients;
mod clock;
mod cluster;
pub mod config;
mod connection;
pub mod drain;
mod fanout;
mod handshake;
mod identity;
mod metrics;
pub mod permissions;
mod registry;
mod rooms;
mod session;
mod upgrade;
mod watch;

pub use api::openapi;
pub use app::{Edge, Parts};
pub use cluster::ClusterSettings;
pub use config::{EdgeSettings, PlaceError, StreamSettings, TakenPath};
