//! The private part: what an edge signs with.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::{PublicIdentity, Signature, pem};
use crate::{agreement::NoRandomness, derive::Transcript};

/// Why a text has no identity key. Nothing of the text is in it but a block's label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityKeyError {
    #[error("no PEM block that begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    #[error("a PEM block that does not end, or is no base64")]
    Malformed,
    /// Among them SEC 1's `EC PRIVATE KEY`, which `openssl pkcs8 -topk8 -nocrypt` turns into PKCS#8.
    #[error("a PEM block `{0}`, which is no unencrypted PKCS#8 private key (openssl pkcs8 -topk8 -nocrypt makes one)")]
    Label(String),
    #[error("a private key that is not PKCS#8 of P-256")]
    NotP256,
}

/// An edge's identity: the key that signs, and the public parts of all that clients may still meet or soon will.
pub struct IdentityKey {
    // AWS-LC cleanses what it frees.
    signing: EcdsaKeyPair,
    published: Vec<PublicIdentity>,
}

impl IdentityKey {
    /// Reads PEM (RFC 7468) with one or several PKCS#8 keys: the first signs, all are published. A literal `\n` is a
    /// line break, since an environment variable can seldom have real ones.
    ///
    /// # Errors
    /// If a block is anything but a P-256 key, or there is none.
    pub fn from_pem(text: &str) -> Result<Self, IdentityKeyError> {
        let mut signing = None;
        let mut published = Vec::new();
        for der in pem::private_keys(text)? {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
                .map_err(|_| IdentityKeyError::NotP256)?;
            let point = pair.public_key().as_ref().try_into().expect("a point of P-256 is 65 bytes");
            let public = PublicIdentity::from_point(&point).expect("the point of a key pair is on its curve");
            if !published.contains(&public) {
                published.push(public);
            }
            signing.get_or_insert(pair);
        }
        Ok(Self { signing: signing.ok_or(IdentityKeyError::NoKey)?, published })
    }

    /// Of the key that signs.
    pub fn key_id(&self) -> &str {
        self.published[0].key_id()
    }

    /// # Errors
    /// If there are no random numbers, which each signature needs.
    pub fn sign(&self, transcript: &Transcript) -> Result<Signature, NoRandomness> {
        let signature = self.signing.sign(&SystemRandom::new(), transcript.as_bytes()).map_err(|_| NoRandomness)?;
        Ok(signature.as_ref().try_into().expect("the fixed form of a P-256 signature is 64 bytes"))
    }

    /// What `GET {base}/identity` answers: a JWK set (RFC 7517, 5), the signing key first.
    pub fn jwk_set(&self) -> Value {
        json!({ "keys": self.published.iter().map(PublicIdentity::jwk).collect::<Vec<_>>() })
    }
}

impl std::fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityKey").field("published", &self.published).finish_non_exhaustive()
    }
}
