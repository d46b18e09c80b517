//! The client against a scripted edge, in memory and on virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod closes;
mod fake_edge;
mod frames;
mod healing;
mod identity;
mod order;
mod renewal;
mod session;
mod talk;
mod tls;
