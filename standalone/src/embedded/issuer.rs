//! A token issuer for development: one ES256 key, tokens for whoever asks.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use signal_auth::{AuthSettings, ClaimsKey, KeySet, claims};

use super::{
    data_dir::{DataDir, DataDirError},
    people::Person,
};

/// Long enough for a day of trying things out, short enough to see a token expire.
pub const LIFETIME_SECONDS: i64 = 12 * 3600;

const KEY_FILE: &str = "issuer-key.pk8";

/// Makes tokens as the configured issuer would: its `iss` and `aud`, its claims cipher.
pub struct Issuer {
    key: EcdsaKeyPair,
    kid: String,
    iss: String,
    aud: String,
    claims_key: Option<ClaimsKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error(transparent)]
    File(#[from] DataDirError),
    #[error("{KEY_FILE} in SIGNAL_DATA_DIR is no P-256 key; delete it and a new one is made")]
    Key,
}

impl Issuer {
    /// The issuer with the key in `dir`, which is made at the first start.
    ///
    /// # Errors
    /// If the key cannot be read, written or used.
    pub fn open(dir: &DataDir, settings: &AuthSettings) -> Result<Self, IssuerError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = dir.read_or_create(KEY_FILE, || {
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
            document.expect("the operating system's random source works").as_ref().to_vec()
        })?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).map_err(|_| IssuerError::Key)?;
        let kid = thumbprint(&key);
        let cipher = settings.claims_cipher;
        Ok(Self {
            key,
            kid,
            iss: settings.jwt_issuer.clone().unwrap_or_else(|| "signal-development".to_owned()),
            aud: settings.jwt_audience.clone().unwrap_or_else(|| "signal".to_owned()),
            claims_key: settings.application_secret.as_ref().map(|secret| ClaimsKey::new(cipher, secret)),
        })
    }

    /// The JWK set that its tokens verify with.
    pub fn jwks(&self) -> Value {
        let (x, y) = coordinates(&self.key);
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "alg": "ES256", "use": "sig" }
        ] })
    }

    pub fn key_set(&self) -> KeySet {
        KeySet::parse(self.jwks().to_string().as_bytes()).expect("a P-256 key makes a JWK set")
    }

    /// A token for a person of the demo, valid from `now` (Unix seconds) on.
    pub fn token(&self, person: &Person, now: i64) -> String {
        let role = person.role;
        let claims = json!({
            "iss": self.iss,
            "aud": self.aud,
            "sub": person.id,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "userId": person.id,
            "principalType": "User",
            "roles": [{ "id": role.id, "identifier": role.identifier, "priority": role.priority }],
        });
        self.sign(claims)
    }

    fn sign(&self, claims: Value) -> String {
        let claims = match (&self.claims_key, claims) {
            (Some(key), Value::Object(plain)) => Value::Object(self.encrypted(&plain, key)),
            (_, claims) => claims,
        };
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" });
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("the operating system's random source works");
        format!("{signed}.{}", b64(signature))
    }

    fn encrypted(&self, plain: &Map<String, Value>, key: &ClaimsKey) -> Map<String, Value> {
        claims::encrypt(plain, key, || {
            let mut iv = [0; 16];
            aws_lc_rs::rand::fill(&mut iv).expect("the operating system's random source works");
            iv
        })
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn coordinates(key: &EcdsaKeyPair) -> (String, String) {
    let point = key.public_key().as_ref();
    (b64(&point[1..33]), b64(&point[33..65]))
}

/// RFC 7638: the same key has the same `kid` after every start.
fn thumbprint(key: &EcdsaKeyPair) -> String {
    let (x, y) = coordinates(key);
    b64(digest(&SHA256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use signal_auth::{ClaimsCipher, JwkSetClient, Verifier};

    use super::*;
    use crate::embedded::people::everybody;

    fn settings() -> AuthSettings {
        AuthSettings {
            jwks_url: None,
            jwks_lifetime: Duration::from_secs(600),
            jwt_issuer: None,
            jwt_audience: None,
            application_secret: None,
            application_secret_previous: None,
            claims_cipher: ClaimsCipher::Aes256Cbc,
        }
    }

    fn now() -> i64 {
        time::OffsetDateTime::now_utc().unix_timestamp()
    }

    #[tokio::test]
    async fn its_tokens_verify_plain_and_encrypted() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(scratch.path()).unwrap();
        let strict =
            AuthSettings { jwt_issuer: Some("https://id".into()), jwt_audience: Some("a".into()), ..settings() };
        let sealed = AuthSettings {
            application_secret: Some("secret".into()),
            claims_cipher: ClaimsCipher::Aes256Gcm,
            ..settings()
        };
        for settings in [settings(), strict, sealed] {
            let issuer = Issuer::open(&dir, &settings).unwrap();
            let keys = Arc::new(JwkSetClient::fixed(issuer.key_set()));
            let verifier = Verifier::new(settings.verifier_settings().unwrap(), keys);
            for person in everybody() {
                let principal = verifier.verify(&issuer.token(person, now())).await.unwrap();
                assert_eq!(principal.user_id.text(), person.id);
                assert_eq!(principal.roles[0].identifier, person.role.identifier);
            }
        }
    }

    #[test]
    fn the_key_outlives_the_process() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(scratch.path()).unwrap();
        let open = || Issuer::open(&dir, &settings()).unwrap().jwks();
        let first = open();
        assert_eq!(first, open());
        std::fs::remove_file(dir.file(KEY_FILE)).unwrap();
        assert_ne!(first, open());
    }

    #[test]
    fn a_damaged_key_is_explained() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(scratch.path()).unwrap();
        std::fs::write(dir.file(KEY_FILE), "not a key").unwrap();
        let message = Issuer::open(&dir, &settings()).unwrap_err().to_string();
        assert!(message.contains("delete it"), "{message}");
    }
}
