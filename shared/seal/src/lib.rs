//! Key agreement, key derivation and the ciphers that seal what crosses a connection.
//!
//! Pure but for the operating system's random numbers. Key material is zeroised when dropped and never printed.

pub mod agreement;
pub mod derive;
pub mod v1;

#[cfg(test)]
mod vectors;
