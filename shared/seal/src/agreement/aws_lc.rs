//! AWS-LC: for servers, about six times faster than the portable one.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};

use super::{InvalidPublicKey, KeyAgreement, NoRandomness, PublicKey, SharedSecret};

/// [`KeyAgreement`] by `aws-lc-rs`.
#[derive(Debug)]
pub struct AwsLc {
    private: PrivateKey,
    public: PublicKey,
}

impl AwsLc {
    fn new(private: PrivateKey) -> Option<Self> {
        let public = private.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some(Self { private, public })
    }
}

impl KeyAgreement for AwsLc {
    fn generate() -> Result<Self, NoRandomness> {
        PrivateKey::generate(&ECDH_P256).ok().and_then(Self::new).ok_or(NoRandomness)
    }

    fn from_private_key(scalar: &[u8; 32]) -> Option<Self> {
        PrivateKey::from_private_key(&ECDH_P256, scalar).ok().and_then(Self::new)
    }

    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn agree(self, peer: &PublicKey) -> Result<SharedSecret, InvalidPublicKey> {
        if peer[0] != 4 {
            return Err(InvalidPublicKey);
        }
        agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, peer), InvalidPublicKey, |x| {
            x.try_into().map(SharedSecret).map_err(|_| InvalidPublicKey)
        })
    }
}
