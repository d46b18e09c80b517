//! The edge over real sockets, held against every row of the protocol.
#![allow(clippy::unwrap_used, reason = "a test that finds something missing has failed")]

#[path = "socket/fixture.rs"]
mod fixture;

#[path = "socket/abuse.rs"]
mod abuse;
#[path = "socket/authentication.rs"]
mod authentication;
#[path = "socket/backplane.rs"]
mod backplane;
#[path = "socket/fan_out.rs"]
mod fan_out;
#[path = "socket/lifetime.rs"]
mod lifetime;
#[path = "socket/malformed.rs"]
mod malformed;
#[path = "socket/permissions.rs"]
mod permissions;
#[path = "socket/rooms.rs"]
mod rooms;
