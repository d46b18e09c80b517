//! Pure Rust: for SDKs, WebAssembly and tests.

use p256::{PublicKey as Point, SecretKey, ecdh::diffie_hellman};
use zeroize::Zeroizing;

use super::{InvalidPublicKey, KeyAgreement, NoRandomness, PublicKey, SharedSecret};

/// [`KeyAgreement`] by `p256`.
pub struct Portable(SecretKey);

impl std::fmt::Debug for Portable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Portable(..)")
    }
}

impl KeyAgreement for Portable {
    fn generate() -> Result<Self, NoRandomness> {
        let mut scalar = Zeroizing::new([0u8; 32]);
        loop {
            getrandom::fill(&mut *scalar).map_err(|_| NoRandomness)?;
            // All but one in 2^32 draws are scalars of the group.
            if let Some(pair) = Self::from_private_key(&scalar) {
                return Ok(pair);
            }
        }
    }

    fn from_private_key(scalar: &[u8; 32]) -> Option<Self> {
        SecretKey::from_slice(scalar).ok().map(Self)
    }

    fn public_key(&self) -> PublicKey {
        let point = self.0.public_key().to_sec1_bytes();
        point.as_ref().try_into().expect("p256 writes points of P-256 uncompressed: 65 bytes")
    }

    fn agree(self, peer: &PublicKey) -> Result<SharedSecret, InvalidPublicKey> {
        if peer[0] != 4 {
            return Err(InvalidPublicKey);
        }
        let peer = Point::from_sec1_bytes(peer).map_err(|_| InvalidPublicKey)?;
        let secret = diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret((*secret.raw_secret_bytes()).into()))
    }
}
