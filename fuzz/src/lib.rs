//! What the fuzz targets share: a bound on memory, and keys that never change, so that a finding can be
//! reproduced.

pub mod issuer;
pub mod memory;
pub mod shared_key;
