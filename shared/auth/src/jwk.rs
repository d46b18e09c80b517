//! JWK sets (RFC 7517) as keys that are ready to verify with.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::verifier::Refusal;

/// The usable keys of a set: signature keys for ES256, RS256 and EdDSA (Ed25519).
///
/// A key of another kind, for another use, or damaged, is left out; one bad key must not
/// take the others with it.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerifyKey>,
}

#[derive(Debug)]
pub(crate) struct VerifyKey {
    kid: Option<String>,
    alg: &'static str,
    key: ParsedPublicKey,
}

/// The document is not a JWK set, or has no key to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("not a JWK set")]
    Malformed,
    #[error("no usable signature key in the JWK set (ES256, RS256 or EdDSA)")]
    NoUsableKey,
}

impl KeySet {
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        let keys: Vec<VerifyKey> = document.keys.iter().filter_map(VerifyKey::from_jwk).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        Ok(Self { keys })
    }

    pub(crate) fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key for a token. A token without `kid` is accepted only where there is nothing
    /// to choose: the set has exactly one usable key.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`], or [`Refusal::Algorithm`] if the key that the token names
    /// is for another algorithm than the token claims.
    pub(crate) fn find(&self, kid: Option<&str>, alg: &str) -> Result<&VerifyKey, Refusal> {
        let Some(kid) = kid else {
            return match self.keys.as_slice() {
                [only] if only.alg == alg => Ok(only),
                [_] => Err(Refusal::Algorithm),
                _ => Err(Refusal::UnknownKey),
            };
        };
        let mut refusal = Refusal::UnknownKey;
        for key in self.keys.iter().filter(|key| key.kid.as_deref() == Some(kid)) {
            if key.alg == alg {
                return Ok(key);
            }
            refusal = Refusal::Algorithm;
        }
        Err(refusal)
    }
}

/// Whether any key could be for this algorithm: what is not here is refused unseen.
pub(crate) fn is_supported(alg: &str) -> bool {
    matches!(alg, "ES256" | "RS256" | "EdDSA")
}

/// 2048 bits, the least that RS256 allows (RFC 7518, section 3.3).
const RSA_MIN_BYTES: usize = 256;

/// A big-endian number without the zeros that some issuers put before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

impl VerifyKey {
    fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|b64| URL_SAFE_NO_PAD.decode(b64).ok());
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let for_verifying = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.get("key_ops").is_some_and(|ops| !for_verifying(ops)) {
            return None;
        }
        let (alg, key) = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => {
                let point = [vec![0x04], bytes("x")?, bytes("y")?].concat();
                // The parser would also take a compressed point; a JWK has both coordinates.
                if point.len() != 65 {
                    return None;
                }
                ("ES256", ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?)
            }
            ("OKP", Some("Ed25519")) => ("EdDSA", ParsedPublicKey::new(&ED25519, bytes("x")?).ok()?),
            ("RSA", _) => {
                let (n, e) = (bytes("n")?, bytes("e")?);
                let components = RsaPublicKeyComponents { n: significant(&n), e: significant(&e) };
                if components.n.len() < RSA_MIN_BYTES {
                    return None;
                }
                ("RS256", components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?)
            }
            _ => return None,
        };
        // `Ed25519` is the fully specified name of the same thing (RFC 9864).
        let declared = |name: &Value| name == alg || (alg == "EdDSA" && name == "Ed25519");
        if jwk.get("alg").is_some_and(|name| !declared(name)) {
            return None;
        }
        Some(Self { kid: text("kid").map(str::to_owned), alg, key })
    }

    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        self.key.verify_sig(signed, signature).map_err(|_| Refusal::Signature)
    }
}
