//! ECDH over P-256 (NIST SP 800-56A), behind one interface with two implementations.

#[cfg(feature = "aws-lc")]
mod aws_lc;
mod portable;

use signal_wire::connected::{PUBLIC_KEY_BYTES, decode_exact};
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
pub use portable::Portable;

/// Raw uncompressed point (SEC 1, 2.3.3): `04 || x || y`.
pub type PublicKey = [u8; PUBLIC_KEY_BYTES];

/// The x coordinate that both sides arrive at, 32 bytes big-endian.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SharedSecret(pub(crate) [u8; 32]);

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedSecret(..)")
    }
}

/// The peer's public key is no uncompressed point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an uncompressed P-256 public key")]
pub struct InvalidPublicKey;

/// The operating system gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random numbers to be had")]
pub struct NoRandomness;

/// One side of an agreement: a key pair made for one connection and consumed by it.
pub trait KeyAgreement: Sized + Send {
    fn generate() -> Result<Self, NoRandomness>;

    /// A key pair with this private key; `None` if it is not a scalar of the group. For reproducing recorded values.
    fn from_private_key(scalar: &[u8; 32]) -> Option<Self>;

    fn public_key(&self) -> PublicKey;

    fn agree(self, peer: &PublicKey) -> Result<SharedSecret, InvalidPublicKey>;
}

/// Reads a public key as it crosses the wire: strict padded base64 of 65 bytes that begin with 4.
pub fn parse_public_key(text: &str) -> Result<PublicKey, InvalidPublicKey> {
    // The other first bytes stand for compressed and hybrid forms, which the protocol does not have.
    decode_exact(text).filter(|key: &PublicKey| key[0] == 4).ok_or(InvalidPublicKey)
}
