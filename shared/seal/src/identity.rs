//! Who an edge is, apart from TLS: a P-256 key that signs the transcript of each v2 handshake (ES256, RFC 7518, 3.4).

#[cfg(feature = "aws-lc")]
mod key;
#[cfg(feature = "aws-lc")]
mod pem;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{VerifyingKey, signature::Verifier};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use signal_wire::connected::SIGNATURE_BYTES;

use crate::{agreement::PublicKey, derive::Transcript};

#[cfg(feature = "aws-lc")]
pub use key::{IdentityKey, IdentityKeyError};

/// `r || s`, 32 bytes each, big-endian.
pub type Signature = [u8; SIGNATURE_BYTES];

/// The signature is not one of this identity over this transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not signed by this identity")]
pub struct NotSigned;

/// Why a text has no public identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    #[error("neither a JWK nor a JWK set")]
    Malformed,
    #[error("a JWK with x and y that are no point of P-256")]
    NotOnCurve,
    #[error("a JWK with its private part, which belongs to nobody but its edge")]
    Private,
    #[error("no key of P-256 for signatures")]
    NoKey,
}

/// The part of an edge's identity that everybody may know.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicIdentity {
    key: VerifyingKey,
    key_id: String,
}

impl PublicIdentity {
    /// Reads a JWK, or a JWK set with at least one fitting key (RFC 7517). Keys of other kinds in it are passed over.
    ///
    /// # Errors
    /// If there is no such key, or one that cannot be.
    pub fn read(json: &str) -> Result<Vec<Self>, JwkError> {
        let keys = match serde_json::from_str(json).map_err(|_| JwkError::Malformed)? {
            Value::Object(mut object) => match object.remove("keys") {
                Some(Value::Array(keys)) => keys,
                Some(_) => return Err(JwkError::Malformed),
                None => vec![Value::Object(object)],
            },
            _ => return Err(JwkError::Malformed),
        };
        let mut identities = Vec::new();
        for key in keys {
            identities.extend(Self::from_jwk(key)?);
        }
        if identities.is_empty() { Err(JwkError::NoKey) } else { Ok(identities) }
    }

    /// `None` for a key of another kind.
    fn from_jwk(jwk: Value) -> Result<Option<Self>, JwkError> {
        let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| JwkError::Malformed)?;
        if jwk.d.is_some() {
            return Err(JwkError::Private);
        }
        let fits = jwk.kty == "EC"
            && jwk.crv.as_deref() == Some("P-256")
            && jwk.alg.is_none_or(|alg| alg == "ES256")
            && jwk.purpose.is_none_or(|purpose| purpose == "sig");
        if !fits {
            return Ok(None);
        }
        let coordinate = |text: Option<String>| -> Option<[u8; 32]> {
            URL_SAFE_NO_PAD.decode(text?).ok().and_then(|bytes| bytes.try_into().ok())
        };
        let (x, y) = coordinate(jwk.x).zip(coordinate(jwk.y)).ok_or(JwkError::NotOnCurve)?;
        let mut point: PublicKey = [4; _];
        point[1..33].copy_from_slice(&x);
        point[33..].copy_from_slice(&y);
        Self::from_point(&point).map(Some).ok_or(JwkError::NotOnCurve)
    }

    /// `None` if `point` is not of the curve.
    pub(crate) fn from_point(point: &PublicKey) -> Option<Self> {
        let key = VerifyingKey::from_sec1_bytes(point).ok()?;
        let [x, y] = coordinates(point);
        // RFC 7638, 3.2: the required members in lexicographic order, without whitespace.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Some(Self { key, key_id: URL_SAFE_NO_PAD.encode(Sha256::digest(members)) })
    }

    /// The key's thumbprint (RFC 7638), whatever a JWK calls it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// As `GET {base}/identity` shows it.
    pub fn jwk(&self) -> Value {
        let point = self.key.to_sec1_point(false);
        let [x, y] = coordinates(point.as_bytes());
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.key_id, "use": "sig", "alg": "ES256" })
    }

    /// # Errors
    /// If the signature is another's, or over another transcript.
    pub fn verify(&self, transcript: &Transcript, signature: &Signature) -> Result<(), NotSigned> {
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| NotSigned)?;
        self.key.verify(transcript.as_bytes(), &signature).map_err(|_| NotSigned)
    }
}

impl std::fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicIdentity({})", self.key_id)
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    d: Option<serde::de::IgnoredAny>,
}

/// Of an uncompressed point.
fn coordinates(point: &[u8]) -> [String; 2] {
    [&point[1..33], &point[33..65]].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate))
}

#[cfg(test)]
mod tests;
