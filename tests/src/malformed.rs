//! What nobody should say, and what is done with it.

pub mod envelopes;
pub mod frames;
pub mod records;
pub mod requests;
pub mod tokens;
