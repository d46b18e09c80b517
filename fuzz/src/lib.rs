//! What the fuzz targets share: a bound on memory, and keys that never change.

pub mod issuer;
pub mod memory;
