//! What only NATS does.

mod cluster;
mod flood;
mod limits;
mod login;
mod sister;
mod tls;
