//! The edge over real sockets, held against every row of the protocol.
#![allow(clippy::unwrap_used, reason = "a test that finds something missing has failed")]

#[path = "socket/faulty_bus.rs"]
mod faulty_bus;
#[path = "socket/fixture.rs"]
mod fixture;
#[path = "socket/rest.rs"]
mod rest;

#[path = "socket/abuse.rs"]
mod abuse;
#[path = "socket/authentication.rs"]
mod authentication;
#[path = "socket/backplane.rs"]
mod backplane;
#[path = "socket/clients.rs"]
mod clients;
#[path = "socket/cluster.rs"]
mod cluster;
#[path = "socket/drain.rs"]
mod drain;
#[path = "socket/fan_out.rs"]
mod fan_out;
#[path = "socket/lifetime.rs"]
mod lifetime;
#[path = "socket/limits.rs"]
mod limits;
#[path = "socket/malformed.rs"]
mod malformed;
#[path = "socket/permissions.rs"]
mod permissions;
#[path = "socket/refresh.rs"]
mod refresh;
#[path = "socket/rooms.rs"]
mod rooms;
#[path = "socket/v2.rs"]
mod v2;
