use super::*;
use proptest::prelude::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/v2.json")).unwrap()
}

fn jwk() -> Value {
    vectors()["identity"]["jwk"].take()
}

fn with(name: &str, value: Value) -> String {
    let mut jwk = jwk();
    jwk[name] = value;
    jwk.to_string()
}

fn without(name: &str) -> String {
    let mut jwk = jwk();
    jwk.as_object_mut().unwrap().remove(name);
    jwk.to_string()
}

#[test]
fn a_key_or_a_set_of_keys_is_read() {
    let one = PublicIdentity::read(&jwk().to_string()).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].key_id(), jwk()["kid"].as_str().unwrap());
    assert_eq!(one[0].jwk(), jwk());

    let foreign = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    let set = json!({ "keys": [foreign, jwk(), vectors()["anotherIdentity"]["jwk"]] });
    let ids: Vec<_> = PublicIdentity::read(&set.to_string()).unwrap().into_iter().map(|key| key.key_id).collect();
    assert_eq!(ids, [jwk()["kid"].as_str().unwrap(), vectors()["anotherIdentity"]["keyId"].as_str().unwrap()]);
}

#[test]
fn a_key_is_known_by_its_thumbprint_whatever_it_is_called() {
    for jwk_text in [with("kid", json!("another name")), without("kid"), without("use"), without("alg")] {
        assert_eq!(PublicIdentity::read(&jwk_text).unwrap()[0].key_id(), jwk()["kid"].as_str().unwrap());
    }
}

#[test]
fn what_is_no_public_key_of_p256_is_refused() {
    let refused = |text: &str| PublicIdentity::read(text).unwrap_err();
    for text in ["", "null", "[]", "7", "{}", "{", r#"{"keys":7}"#, r#"{"keys":[7]}"#, r#"{"kty":7}"#] {
        assert_eq!(refused(text), JwkError::Malformed, "{text}");
    }
    for text in [
        r#"{"keys":[]}"#.to_owned(),
        with("kty", json!("RSA")),
        with("crv", json!("P-384")),
        with("alg", json!("ES384")),
        with("use", json!("enc")),
        without("crv"),
    ] {
        assert_eq!(refused(&text), JwkError::NoKey, "{text}");
    }
    for text in [with("x", json!("AAAA")), with("x", jwk()["y"].clone()), with("y", json!("*")), without("y")] {
        assert_eq!(refused(&text), JwkError::NotOnCurve, "{text}");
    }
    assert_eq!(refused(&with("d", json!("AAAA"))), JwkError::Private);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", x in "[A-Za-z0-9_-]{43}", y in "[A-Za-z0-9_-]{43}") {
        let _ = PublicIdentity::read(&text);
        // About half of all x have a point, and hardly any has this y.
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }).to_string();
        prop_assert_eq!(PublicIdentity::read(&jwk), Err(JwkError::NotOnCurve));
    }
}

#[cfg(feature = "aws-lc")]
mod key {
    use super::*;
    use crate::agreement::{KeyAgreement, Portable};

    fn pem() -> String {
        vectors()["identity"]["privateKeyPem"].as_str().unwrap().to_owned()
    }

    /// Of a fresh key.
    fn another_pem() -> String {
        let document = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        );
        block("PRIVATE KEY", document.unwrap().as_ref())
    }

    fn block(label: &str, der: &[u8]) -> String {
        let body = signal_wire::connected::encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    fn transcript(byte: u8) -> Transcript {
        let point = Portable::from_private_key(&[byte; 32]).unwrap().public_key();
        Transcript::new(&point, &point, &[byte; 32], &[byte; 16])
    }

    fn published(key: &IdentityKey) -> Vec<PublicIdentity> {
        PublicIdentity::read(&key.jwk_set().to_string()).unwrap()
    }

    #[test]
    fn the_key_and_its_public_part_are_those_of_the_vectors() {
        let key = IdentityKey::from_pem(&pem()).unwrap();
        assert_eq!(key.key_id(), jwk()["kid"].as_str().unwrap());
        assert_eq!(key.jwk_set(), json!({ "keys": [jwk()] }));
    }

    #[test]
    fn only_its_own_signature_over_the_same_transcript_holds() {
        let (key, other) = (IdentityKey::from_pem(&pem()).unwrap(), IdentityKey::from_pem(&another_pem()).unwrap());
        let signature = key.sign(&transcript(1)).unwrap();
        assert_eq!(published(&key)[0].verify(&transcript(1), &signature), Ok(()));
        assert_eq!(published(&key)[0].verify(&transcript(2), &signature), Err(NotSigned));
        assert_eq!(published(&other)[0].verify(&transcript(1), &signature), Err(NotSigned));
        for worthless in [[0; 64], [0xff; 64]] {
            assert_eq!(published(&key)[0].verify(&transcript(1), &worthless), Err(NotSigned));
        }
        for at in [0, 31, 32, 63] {
            let mut altered = signature;
            altered[at] ^= 1;
            assert_eq!(published(&key)[0].verify(&transcript(1), &altered), Err(NotSigned));
        }
    }

    #[test]
    fn the_first_of_several_keys_signs_and_all_are_published() {
        let (old, new) = (pem(), another_pem());
        let key = IdentityKey::from_pem(&format!("what is to come\n{new}and what was:\n{old}{new}")).unwrap();
        let ids: Vec<_> = published(&key).iter().map(|key| key.key_id().to_owned()).collect();
        assert_eq!(ids.len(), 2, "the one that is there twice is published once");
        assert_eq!((ids[0].as_str(), ids[1].as_str()), (key.key_id(), jwk()["kid"].as_str().unwrap()));
        let signature = key.sign(&transcript(1)).unwrap();
        assert_eq!(published(&key)[0].verify(&transcript(1), &signature), Ok(()));
    }

    #[test]
    fn line_breaks_may_be_what_an_environment_variable_makes_of_them() {
        for (from, to) in [("\n", "\\n"), ("\n", "\r\n"), ("\n", "\\r\\n"), ("\n", " ")] {
            let key = IdentityKey::from_pem(&pem().replace(from, to)).unwrap();
            assert_eq!(key.key_id(), jwk()["kid"].as_str().unwrap());
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_named() {
        let refused = |text: &str| IdentityKey::from_pem(text).unwrap_err();
        let p384 = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(
            &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        );
        assert_eq!(refused(""), IdentityKeyError::NoKey);
        assert_eq!(refused("a word"), IdentityKeyError::NoKey);
        assert_eq!(refused("-----BEGIN PRIVATE KEY"), IdentityKeyError::Malformed);
        assert_eq!(refused(pem().split_once("-----END").unwrap().0), IdentityKeyError::Malformed);
        assert_eq!(refused(&pem().replace('=', "*").replacen("MIG", "M*G", 1)), IdentityKeyError::Malformed);
        assert_eq!(refused(&block("PRIVATE KEY", &[1, 2, 3])), IdentityKeyError::NotP256);
        assert_eq!(refused(&block("PRIVATE KEY", p384.unwrap().as_ref())), IdentityKeyError::NotP256);
        for label in ["EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"] {
            let text = format!("{}{}", pem(), block(label, &[1, 2, 3]));
            assert_eq!(refused(&text), IdentityKeyError::Label(label.to_owned()));
        }
        let misplaced = refused(&format!("-----BEGIN {}-----", "secret".repeat(20)));
        assert!(!misplaced.to_string().contains("secret"), "{misplaced}");
    }

    #[test]
    fn debug_output_has_the_public_part_only() {
        let printed = format!("{:?}", IdentityKey::from_pem(&pem()).unwrap());
        assert_eq!(
            printed,
            format!("IdentityKey {{ published: [PublicIdentity({})], .. }}", jwk()["kid"].as_str().unwrap())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_no_key(text in "\\PC{0,40}", body in "[A-Za-z0-9+/=\\s]{0,80}") {
            prop_assert!(IdentityKey::from_pem(&text).is_err());
            let text = format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----");
            prop_assert!(IdentityKey::from_pem(&text).is_err());
        }
    }
}
