//! Key agreement, key derivation, the ciphers that seal what crosses a connection, and the identity that an edge has.
//!
//! Pure but for the operating system's random numbers. Key material is zeroised when dropped and never printed.

pub mod agreement;
pub mod derive;
pub mod identity;
pub mod v1;
pub mod v2;

#[cfg(test)]
mod vectors;

/// Of AES-256-GCM, in both versions.
const TAG_BYTES: usize = 16;

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Edge,
    Client,
}

/// What was sealed is malformed, was altered, is not the one that is due, or was sealed with another key: deliberately
/// one answer for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was sealed does not open")]
pub struct DoesNotOpen;
