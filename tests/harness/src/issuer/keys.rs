//! Key pairs of the three algorithms that Signal accepts, as JWK and as signer.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Rs256,
    EdDsa,
}

impl Algorithm {
    /// The `alg` of a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Rs256 => "RS256",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// The `kid` of this issuer's key for it.
    pub fn kid(self) -> &'static str {
        match self {
            Algorithm::Es256 => "es-1",
            Algorithm::Rs256 => "rs-1",
            Algorithm::EdDsa => "ed-1",
        }
    }
}

#[derive(Debug)]
pub(super) struct Keys {
    es256: EcdsaKeyPair,
    rs256: RsaKeyPair,
    eddsa: Ed25519KeyPair,
    random: SystemRandom,
}

impl Keys {
    pub(super) fn generate() -> Keys {
        Keys {
            es256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rs256: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            eddsa: Ed25519KeyPair::generate().unwrap(),
            random: SystemRandom::new(),
        }
    }

    pub(super) fn jwk_set(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // 0x04, then x and y of 32 bytes each.
        let point = self.es256.public_key().as_ref();
        let rsa = self.rs256.public_key();
        let key = |algorithm: Algorithm, mut parameters: Value| {
            parameters["kid"] = json!(algorithm.kid());
            parameters["alg"] = json!(algorithm.name());
            parameters["use"] = json!("sig");
            parameters
        };
        json!({ "keys": [
            key(Algorithm::Es256, json!({ "kty": "EC", "crv": "P-256",
                "x": encode(&point[1..33]), "y": encode(&point[33..]) })),
            key(Algorithm::Rs256, json!({ "kty": "RSA",
                "n": encode(rsa.modulus().big_endian_without_leading_zero()),
                "e": encode(rsa.exponent().big_endian_without_leading_zero()) })),
            key(Algorithm::EdDsa, json!({ "kty": "OKP", "crv": "Ed25519",
                "x": encode(self.eddsa.public_key().as_ref()) })),
        ] })
    }

    pub(super) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match algorithm {
            Algorithm::Es256 => self.es256.sign(&self.random, message).unwrap().as_ref().to_vec(),
            Algorithm::EdDsa => self.eddsa.sign(message).as_ref().to_vec(),
            Algorithm::Rs256 => {
                let mut signature = vec![0; self.rs256.public_modulus_len()];
                self.rs256.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    #[test]
    fn every_signature_verifies_under_its_public_key() {
        let keys = Keys::generate();
        let sign = |algorithm| keys.sign(algorithm, b"message");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, keys.es256.public_key().as_ref())
            .verify(b"message", &sign(Algorithm::Es256))
            .unwrap();
        UnparsedPublicKey::new(&ED25519, keys.eddsa.public_key().as_ref())
            .verify(b"message", &sign(Algorithm::EdDsa))
            .unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys.rs256.public_key().as_ref())
            .verify(b"message", &sign(Algorithm::Rs256))
            .unwrap();
    }
}
