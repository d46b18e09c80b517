//! Which keys of a set are used, and for what.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use signal_auth::{KeySet, Refusal, VerifyError};

use crate::issuer::{Key, b64, claims, set, verifier};

fn refused(refusal: Refusal) -> Result<(), VerifyError> {
    Err(VerifyError::Refused(refusal))
}

async fn outcome(keys: &[Value], token: &str) -> Result<(), VerifyError> {
    verifier(keys).verify(token).await.map(drop)
}

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

#[tokio::test]
async fn every_kind_of_key_verifies_with_and_without_declared_alg() {
    for key in [Key::es256(), Key::rs256(), Key::eddsa()] {
        let (plain, token) = (key.jwk("k"), key.token("k", &claims()));
        assert_eq!(outcome(std::slice::from_ref(&plain), &token).await, Ok(()), "{}", key.alg());
        let declared = with(with(plain, "alg", json!(key.alg())), "use", json!("sig"));
        assert_eq!(outcome(&[declared], &token).await, Ok(()), "{}", key.alg());
    }
}

#[tokio::test]
async fn the_algorithm_is_the_keys_never_the_tokens() {
    let keys = [Key::es256(), Key::rs256(), Key::eddsa()];
    for key in &keys {
        for alg in ["ES256", "RS256", "EdDSA", "none", "None", "", "HS256", "ES384", "PS256", "RS512", "Ed25519"] {
            if alg == key.alg() {
                continue;
            }
            let token = key.sign(&json!({ "alg": alg, "kid": "k" }), &claims());
            assert_eq!(outcome(&[key.jwk("k")], &token).await, refused(Refusal::Algorithm), "{} as {alg}", key.alg());
        }
    }
}

#[tokio::test]
async fn a_token_without_signature_is_refused() {
    let key = Key::es256();
    for alg in ["none", "NONE", "ES256"] {
        let token = format!("{}.{}.", b64(json!({ "alg": alg, "kid": "k" }).to_string()), b64(claims().to_string()));
        let expected = if alg == "ES256" { Refusal::Signature } else { Refusal::Algorithm };
        assert_eq!(outcome(&[key.jwk("k")], &token).await, refused(expected));
    }
}

#[tokio::test]
async fn a_public_key_is_no_hmac_secret() {
    for key in [Key::es256(), Key::rs256(), Key::eddsa()] {
        let jwk = key.jwk("k");
        let parts = ["x", "y", "n"].map(|name| jwk[name].as_str().unwrap_or_default().to_owned());
        for secret in [jwk.to_string(), set(std::slice::from_ref(&jwk)).to_string(), parts.concat()] {
            for alg in ["HS256", key.alg()] {
                let signed =
                    format!("{}.{}", b64(json!({ "alg": alg, "kid": "k" }).to_string()), b64(claims().to_string()));
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
                let token = format!("{signed}.{}", b64(tag));
                let outcome = outcome(std::slice::from_ref(&jwk), &token).await;
                let expected = if alg == "HS256" { Refusal::Algorithm } else { Refusal::Signature };
                assert_eq!(outcome, refused(expected), "{alg}");
            }
        }
    }
}

#[tokio::test]
async fn another_key_or_another_kid_is_refused() {
    let (key, other) = (Key::es256(), Key::es256());
    let keys = [key.jwk("a"), other.jwk("b")];
    assert_eq!(outcome(&keys, &key.token("b", &claims())).await, refused(Refusal::Signature));
    assert_eq!(outcome(&keys, &key.token("c", &claims())).await, refused(Refusal::UnknownKey));
    assert_eq!(outcome(&keys, &key.token("A", &claims())).await, refused(Refusal::UnknownKey));
    assert_eq!(outcome(&keys, &key.token("a", &claims())).await, Ok(()));
}

#[tokio::test]
async fn a_token_without_kid_needs_a_set_of_one() {
    let (key, other) = (Key::es256(), Key::eddsa());
    let token = key.sign(&json!({ "alg": "ES256" }), &claims());
    assert_eq!(outcome(&[key.jwk("a")], &token).await, Ok(()));
    assert_eq!(outcome(&[key.jwk("a"), other.jwk("b")], &token).await, refused(Refusal::UnknownKey));
    assert_eq!(outcome(&[other.jwk("b")], &token).await, refused(Refusal::Algorithm));
}

#[tokio::test]
async fn two_keys_may_share_a_kid_if_their_algorithms_differ() {
    let (one, two) = (Key::es256(), Key::eddsa());
    let keys = [one.jwk("k"), two.jwk("k")];
    assert_eq!(outcome(&keys, &one.token("k", &claims())).await, Ok(()));
    assert_eq!(outcome(&keys, &two.token("k", &claims())).await, Ok(()));
}

#[test]
fn keys_that_cannot_be_used_are_left_out() {
    let es = Key::es256().jwk("k");
    let weak = "AQAB".repeat(40);
    for (jwk, why) in [
        (with(es.clone(), "use", json!("enc")), "for encryption"),
        (with(es.clone(), "use", Value::Null), "use is not text"),
        (with(es.clone(), "key_ops", json!(["sign"])), "not for verifying"),
        (with(es.clone(), "alg", json!("ES384")), "declared for something else"),
        (with(es.clone(), "alg", json!("none")), "declared for nothing"),
        (with(es.clone(), "crv", json!("P-384")), "curve does not fit"),
        (with(es.clone(), "x", json!("AAAA")), "short coordinate"),
        (with(es.clone(), "x", es["y"].clone()), "not on the curve"),
        (with(es.clone(), "y", json!("***")), "not base64url"),
        (with(es.clone(), "kty", json!(7)), "kty is not text"),
        (json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "k", "alg": "HS256" }), "symmetric"),
        (json!({ "kty": "OKP", "crv": "X25519", "x": es["x"], "kid": "k" }), "for key agreement"),
        (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "k" }), "short Ed25519 key"),
        (json!({ "kty": "RSA", "n": weak, "e": "AQAB", "kid": "k" }), "short modulus"),
        (json!({ "kty": "RSA", "e": "AQAB", "kid": "k" }), "no modulus"),
        (json!({}), "empty"),
        (json!("key"), "not an object"),
        (Value::Null, "null"),
    ] {
        assert!(KeySet::parse(set(std::slice::from_ref(&jwk)).to_string().as_bytes()).is_err(), "{why}");
        let with_good = KeySet::parse(set(&[jwk, es.clone()]).to_string().as_bytes()).unwrap();
        assert_eq!(with_good.len(), 1, "{why}: must not take the good key with it");
    }
    let verifying = with(es, "key_ops", json!(["verify"]));
    assert_eq!(KeySet::parse(set(&[verifying]).to_string().as_bytes()).unwrap().len(), 1);
}

#[test]
fn documents_that_are_no_key_set() {
    for text in ["", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>", r#"{"keys":[1,2"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}
