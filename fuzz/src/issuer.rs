//! An issuer whose key is known, so that what lies behind a signature can be reached, and the one that made the
//! recorded tokens, whose key is not.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signal_auth::{
    ClaimsCipher, Clock, JwkSetClient, KeySet, Principal, Secret, Verifier, VerifierSettings, VerifyError,
};

const VECTORS: &str = include_str!("../../tests/vectors/ignis.json");
/// Within the life of the recorded tokens.
const NOW_MS: i64 = 1_795_423_900_000;

/// What other software recorded: tokens, their key set, their secret.
pub fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

pub fn secret() -> Secret {
    let vectors = vectors();
    Secret::new(vectors["claimsEncryption"]["applicationSecret"].as_str().expect("the vectors have a secret"))
}

/// Verifies against a key set that is never fetched, at an hour that does not pass.
pub fn verifier(key_set: &Value, claims: Option<ClaimsCipher>) -> Verifier {
    build(key_set, claims, claims.map(|_| secret()), None)
}

/// One whose secret has been rotated: the former is the previous one.
pub fn rotated(key_set: &Value, cipher: ClaimsCipher) -> Verifier {
    build(key_set, Some(cipher), Some(Secret::new("the next one")), Some(secret()))
}

fn build(
    key_set: &Value,
    claims: Option<ClaimsCipher>,
    application_secret: Option<Secret>,
    previous_application_secret: Option<Secret>,
) -> Verifier {
    let keys = KeySet::parse(key_set.to_string().as_bytes()).expect("the key set is a good one");
    let settings = VerifierSettings {
        application_secret,
        previous_application_secret,
        claims_cipher: claims.unwrap_or_default(),
        leeway: Duration::from_secs(5),
        clock: Clock::from_fn(|| NOW_MS),
        ..VerifierSettings::default()
    };
    Verifier::new(settings, Arc::new(JwkSetClient::fixed(keys)))
}

/// Waits for a verification that never waits.
pub fn verify(verifier: &Verifier, token: &str) -> Result<Principal, VerifyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread");
    runtime.block_on(verifier.verify(token))
}

/// Signs whatever it is given, the same way each time.
pub struct Issuer(Ed25519KeyPair);

impl Issuer {
    pub fn fixed() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any 32 bytes are a seed"))
    }

    pub fn key_set(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "fixed", "x": x}]})
    }

    pub fn sign(&self, claims: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"fixed"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}
