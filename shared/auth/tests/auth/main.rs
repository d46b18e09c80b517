//! Token verification, from outside.

#![allow(clippy::unwrap_used)]

mod issuer;
mod jwk_sets;
mod keys;
mod permissions;
mod refusals;
mod rotation;
mod vectors;
