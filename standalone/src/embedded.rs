//! The parts that a deployment has as servers, within this process.

pub mod backlog;
pub mod broker;
pub mod data_dir;
pub mod database;
pub mod identity;
pub mod issuer;
pub mod people;
