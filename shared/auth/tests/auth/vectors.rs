//! What the software that Signal replaces encrypts and signs.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use signal_auth::{ClaimsCipher, ClaimsKey, Role, Secret, UserId, Verifier, VerifierSettings, claims};

use crate::issuer::{fixed, settings};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/ignis.json")).unwrap()
}

fn cipher(name: &str) -> ClaimsCipher {
    clap::ValueEnum::from_str(name, false).unwrap()
}

fn iv_of(sealed: &str) -> [u8; 16] {
    STANDARD.decode(sealed).unwrap()[..16].try_into().unwrap()
}

#[test]
fn claims_are_encrypted_byte_for_byte() {
    let vectors = &vectors()["claimsEncryption"];
    let secret = Secret::new(vectors["applicationSecret"].as_str().unwrap());
    let algorithms = vectors["algorithms"].as_object().unwrap();
    assert_eq!(algorithms.len(), 2);
    for (algorithm, samples) in algorithms {
        let key = ClaimsKey::new(cipher(algorithm), &secret);
        for sample in samples.as_array().unwrap() {
            let (plain, sealed) = (sample["plaintext"].as_str().unwrap(), sample["encrypted"].as_str().unwrap());
            assert_eq!(key.decrypt(sealed).as_deref(), Ok(plain), "{algorithm}");
            assert_eq!(key.encrypt_with_iv(plain, iv_of(sealed)), sealed, "{algorithm} {plain}");
            assert_eq!(key.decrypt(&key.encrypt(plain)).as_deref(), Ok(plain));
        }
    }
}

#[tokio::test]
async fn tokens_verify() {
    let vectors = vectors();
    let tokens = vectors["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    for vector in tokens {
        let settings = VerifierSettings {
            application_secret: vector["applicationSecret"].as_str().map(Secret::from),
            claims_cipher: vector["aesAlgorithm"].as_str().map(cipher).unwrap_or_default(),
            ..settings()
        };
        let verifier = Verifier::new(settings, fixed(vector["jwks"]["keys"].as_array().unwrap()));
        let principal = verifier.verify(vector["token"].as_str().unwrap()).await.unwrap();

        let said = &vector["verified"];
        assert_eq!(principal.user_id, UserId::from_json(&said["userId"]).unwrap());
        assert_eq!(principal.principal_type, said["principalType"].as_str().unwrap());
        assert_eq!(principal.expires_at, said["exp"].as_i64());
        let role = |role: &Value| Role {
            id: role["id"].as_str().unwrap().to_owned(),
            identifier: role["identifier"].as_str().unwrap().to_owned(),
            priority: role["priority"].as_i64().unwrap(),
        };
        assert_eq!(principal.roles, said["roles"].as_array().unwrap().iter().map(role).collect::<Vec<_>>());
    }
}

#[test]
fn an_issuer_that_uses_this_crate_makes_the_same_claims() {
    let vectors = vectors();
    let vector = &vectors["tokens"][1];
    let secret = Secret::from(vector["applicationSecret"].as_str().unwrap());
    let key = ClaimsKey::new(cipher(vector["aesAlgorithm"].as_str().unwrap()), &secret);
    let raw = vector["rawClaims"].as_object().unwrap();
    let plain = vector["verified"].as_object().unwrap();

    // The IVs of the vector, in the order in which they will be asked for.
    let sealed: BTreeMap<String, (&str, &str)> = raw
        .iter()
        .filter(|(name, _)| !claims::REGISTERED.contains(&name.as_str()))
        .map(|(name, value)| (key.decrypt(name).unwrap(), (name.as_str(), value.as_str().unwrap())))
        .collect();
    let order: Vec<&String> = plain.keys().filter(|name| !claims::REGISTERED.contains(&name.as_str())).collect();
    let mut ivs = order.into_iter().flat_map(|name| {
        let (name, value) = sealed[name];
        [iv_of(name), iv_of(value)]
    });
    let made: Map<String, Value> = claims::encrypt(plain, &key, || ivs.next().unwrap());
    assert_eq!(&made, raw);
}
