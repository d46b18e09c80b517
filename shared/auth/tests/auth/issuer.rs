//! An issuer with every kind of key, and verifiers that know it.

use std::sync::Arc;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signal_auth::{Clock, JwkSetClient, KeySet, Verifier, VerifierSettings};

/// What every test's clock says, in Unix seconds, unless it says otherwise.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Key {
    pub(crate) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn eddsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rs256() -> Self {
        let generated = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&generated).unwrap();
        Self::Rs256(RsaKeyPair::from_pkcs8(der.as_ref()).unwrap())
    }

    pub(crate) fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key, with nothing in it that could be left out.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
            }
            Self::Rs256(pair) => {
                // SEQUENCE { INTEGER n of 2048 bits, INTEGER 65537 }, in DER.
                let der = pair.public_key().as_ref();
                assert_eq!((der.len(), &der[4..9], &der[265..267]), (270, &[2, 0x82, 1, 1, 0][..], &[2, 3][..]));
                json!({ "kty": "RSA", "n": b64(&der[9..265]), "e": b64(&der[267..]) })
            }
            Self::EdDsa(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key()) }),
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token with any header and any claims, well signed.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(claims));
        let signature = b64(self.sign_bytes(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A token as this key's owner would make it.
    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        self.sign(&json!({ "alg": self.alg(), "kid": kid, "typ": "JWT" }), claims)
    }
}

pub(crate) fn set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

pub(crate) fn fixed(keys: &[Value]) -> Arc<JwkSetClient> {
    let set = KeySet::parse(set(keys).to_string().as_bytes()).unwrap();
    Arc::new(JwkSetClient::fixed(set))
}

pub(crate) fn settings() -> VerifierSettings {
    VerifierSettings { clock: Clock::from_fn(|| NOW * 1000), ..VerifierSettings::default() }
}

pub(crate) fn verifier(keys: &[Value]) -> Verifier {
    Verifier::new(settings(), fixed(keys))
}

/// Claims that nothing is wrong with.
pub(crate) fn claims() -> Value {
    json!({ "userId": "user-1", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3600 })
}
