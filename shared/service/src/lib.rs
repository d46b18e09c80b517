//! What both binaries need to be good services.
//!
//! | module | gives |
//! |---|---|
//! | [`settings`] | flags with environment twins from an injected source, groups that binaries share, the generated reference |
//! | [`telemetry`] | logs and metrics, set up once per process |
//! | [`health`] | named components, live and ready |
//! | [`admin`] | `/metrics` and `/health/*` on their own listener |
//! | [`listen`] | binding a port, with errors that say what to do |
//! | [`rest`] | the error shape, request ids and request metrics of every REST route |
//! | [`serve`] | a listener of such routes, bounded in what a connection may take |
//! | [`shutdown`] | signal, cancellation, drain against a deadline |
//! | [`secret`] | text that never prints |
//!
//! Nothing here knows what Signal does: no frames, no topics, no tables.

pub mod admin;
pub mod doc;
pub mod health;
pub mod listen;
pub mod rest;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod shutdown;
pub mod telemetry;

pub use secret::Secret;
