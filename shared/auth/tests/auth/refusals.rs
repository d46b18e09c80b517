//! Tokens that must not get in, and what exactly is held against them.

use proptest::prelude::*;
use serde_json::{Value, json};
use signal_auth::{
    ClaimsCipher, ClaimsKey, Principal, Refusal, Secret, Verifier, VerifierSettings, VerifyError, claims,
};

use crate::issuer::{Key, NOW, b64, claims as good, fixed, settings, verifier};

async fn check(verifier: &Verifier, token: &str) -> Result<Principal, Refusal> {
    verifier.verify(token).await.map_err(|error| match error {
        VerifyError::Refused(refusal) => refusal,
        VerifyError::Unavailable => panic!("the set is fixed"),
    })
}

fn and(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn times_count_with_five_seconds_of_leeway() {
    let key = Key::es256();
    let verifier = verifier(&[key.jwk("k")]);
    for (claim, value, expected) in [
        ("exp", json!(NOW - 4), Ok(())),
        ("exp", json!(NOW - 5), Err(Refusal::Expired)),
        ("exp", json!(NOW - 3600), Err(Refusal::Expired)),
        ("exp", json!(0), Err(Refusal::Expired)),
        ("exp", json!(-1), Err(Refusal::Expired)),
        ("exp", json!(i64::MIN), Err(Refusal::Expired)),
        ("exp", json!(i64::MAX), Ok(())),
        ("exp", json!(1e300), Ok(())),
        ("exp", json!(NOW as f64 - 4.5), Err(Refusal::Expired)),
        ("exp", json!("tomorrow"), Err(Refusal::Claims)),
        ("exp", json!(null), Err(Refusal::Claims)),
        ("nbf", json!(NOW + 5), Ok(())),
        ("nbf", json!(NOW + 6), Err(Refusal::NotYetValid)),
        ("nbf", json!(1e300), Err(Refusal::NotYetValid)),
        ("nbf", json!([]), Err(Refusal::Claims)),
    ] {
        let token = key.token("k", &and(good(), claim, value.clone()));
        assert_eq!(check(&verifier, &token).await.map(drop), expected, "{claim} {value}");
    }
}

#[tokio::test]
async fn a_token_that_never_expires_says_so() {
    let key = Key::es256();
    let token = key.token("k", &json!({ "userId": 7 }));
    let principal = check(&verifier(&[key.jwk("k")]), &token).await.unwrap();
    assert_eq!((principal.expires_at, principal.user_id.text()), (None, "7"));
    assert_eq!(serde_json::to_value(&principal.user_id).unwrap(), json!(7));
}

#[tokio::test]
async fn issuer_and_audience_must_match_when_configured() {
    let key = Key::es256();
    let settings =
        VerifierSettings { issuer: Some("https://id".into()), audience: Some("signal".into()), ..settings() };
    let verifier = Verifier::new(settings, fixed(&[key.jwk("k")]));
    let right = and(and(good(), "iss", json!("https://id")), "aud", json!("signal"));
    assert!(check(&verifier, &key.token("k", &right)).await.is_ok());
    let among = and(right.clone(), "aud", json!(["other", "signal"]));
    assert!(check(&verifier, &key.token("k", &among)).await.is_ok());

    for iss in [json!("https://id/"), json!(null), json!(["https://id"]), json!(7)] {
        let token = key.token("k", &and(right.clone(), "iss", iss));
        assert_eq!(check(&verifier, &token).await, Err(Refusal::Issuer));
    }
    for aud in [json!("Signal"), json!([]), json!(["other"]), json!([["signal"]]), json!(null), json!({ "signal": 1 })]
    {
        let token = key.token("k", &and(right.clone(), "aud", aud));
        assert_eq!(check(&verifier, &token).await, Err(Refusal::Audience));
    }
    assert_eq!(check(&verifier, &key.token("k", &good())).await, Err(Refusal::Issuer));
}

#[tokio::test]
async fn claims_must_name_a_user_and_well_formed_roles() {
    let key = Key::es256();
    let verifier = verifier(&[key.jwk("k")]);
    for (name, value) in [
        ("userId", json!("")),
        ("userId", json!(true)),
        ("userId", json!(1.5)),
        ("userId", json!({ "id": 1 })),
        ("userId", json!(["user-1"])),
        ("userId", json!("x".repeat(1000))),
        ("userId", Value::Null),
        ("principalType", json!(1)),
        ("roles", json!("admin")),
        ("roles", json!([null])),
        ("roles", json!([{}])),
        ("roles", json!([{ "id": "1" }])),
        ("roles", json!([{ "id": "1", "identifier": "a", "priority": "high" }])),
        ("roles", json!(["1|admin"])),
        ("roles", json!(["1|admin|high"])),
    ] {
        let token = key.token("k", &and(good(), name, value.clone()));
        assert_eq!(check(&verifier, &token).await, Err(Refusal::Claims), "{name} {value}");
    }
    let token = key
        .token("k", &json!({ "sub": "user-2", "principalType": "Device", "roles": [{ "id": 3, "identifier": "a" }] }));
    let principal = check(&verifier, &token).await.unwrap();
    assert_eq!((principal.user_id.text(), principal.principal_type.as_str()), ("user-2", "Device"));
    assert_eq!((principal.roles[0].id.as_str(), principal.roles[0].priority), ("3", 0));
}

#[tokio::test]
async fn encrypted_claims_must_decrypt() {
    let key = Key::es256();
    let secret = Secret::new("secret");
    for (cipher, other) in
        [(ClaimsCipher::Aes256Cbc, ClaimsCipher::Aes256Gcm), (ClaimsCipher::Aes256Gcm, ClaimsCipher::Aes256Cbc)]
    {
        let settings =
            VerifierSettings { application_secret: Some(secret.clone()), claims_cipher: cipher, ..settings() };
        let verifier = Verifier::new(settings, fixed(&[key.jwk("k")]));
        let sealed = |key: &ClaimsKey, plain: &Value| {
            let mut counter = 0_u128;
            let next = || {
                counter += 1;
                counter.to_be_bytes()
            };
            Value::Object(claims::encrypt(plain.as_object().unwrap(), key, next))
        };
        let right = ClaimsKey::new(cipher, &secret);
        let roles = json!([{ "id": "1", "identifier": "a|b", "priority": 5 }, { "id": "2|3", "identifier": "c" }]);
        let token = key.token("k", &sealed(&right, &and(good(), "roles", roles)));
        let principal = check(&verifier, &token).await.unwrap();
        assert_eq!(principal.user_id.text(), "user-1");
        let names: Vec<_> = principal.roles.iter().map(|role| (role.id.as_str(), role.identifier.as_str())).collect();
        assert_eq!(names, [("1", "a|b"), ("2|3", "c")], "what a bar could split otherwise stays whole");

        let name = right.encrypt("userId");
        for (claims, why) in [
            (good(), "not encrypted at all"),
            (sealed(&ClaimsKey::new(cipher, &Secret::new("Secret")), &good()), "another secret"),
            (sealed(&ClaimsKey::new(other, &secret), &good()), "another cipher"),
            (json!({ &name: "user-1" }), "value not encrypted"),
            (json!({ &name: 7 }), "value is no text"),
            (json!({ &name: right.encrypt("user-1") }), "value is no JSON"),
            (json!({ &name: right.encrypt("\"a\""), right.encrypt("userId"): right.encrypt("\"b\"") }), "name twice"),
            (
                json!({ &name: right.encrypt("\"a\""), right.encrypt("exp"): right.encrypt("1") }),
                "registered name encrypted",
            ),
            (json!({ &name[4..]: right.encrypt("\"a\"") }), "damaged name"),
            (json!({ "": right.encrypt("\"a\"") }), "empty name"),
            (json!({ "AAAA": "AAAA" }), "shorter than an IV"),
        ] {
            assert_eq!(check(&verifier, &key.token("k", &claims)).await, Err(Refusal::Claims), "{cipher:?}: {why}");
        }
    }
}

#[tokio::test]
async fn a_token_cut_anywhere_is_refused() {
    for key in [Key::es256(), Key::eddsa()] {
        let verifier = verifier(&[key.jwk("k")]);
        let token = key.token("k", &good());
        assert!(check(&verifier, &token).await.is_ok());
        for end in 0..token.len() {
            assert!(check(&verifier, &token[..end]).await.is_err(), "cut at {end}");
            assert!(check(&verifier, &token[end + 1..]).await.is_err(), "begun at {}", end + 1);
        }
    }
}

#[tokio::test]
async fn garbage_is_refused_for_what_it_is() {
    let key = Key::es256();
    let verifier = verifier(&[key.jwk("k")]);
    let token = key.token("k", &good());
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let head = r#"{"alg":"ES256","kid":"k"}"#;
    let malformed = [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        "null".into(),
        "Bearer".into(),
        format!("Bearer {token}"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}==.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}/+"),
        format!("{}.{payload}.{signature}", b64("not json")),
        format!("{}.{payload}.{signature}", b64("[]")),
        format!("{}.{payload}.{signature}", b64("null")),
        format!("{}.{payload}.{signature}", b64("{}")),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":7}"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":null,"kid":"k"}"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"ES256","kid":7}"#)),
        format!("{}.{payload}.{signature}", b64(r#"{"alg":"ES256","alg":"none"}"#)),
        format!("{}.{payload}.{signature}", b64([0xff, 0xfe])),
        format!("{}.{payload}.{signature}", b64("[".repeat(10_000))),
        key.sign_text(r#"{"alg":"ES256","kid":"k","crit":["exp"],"exp":1}"#, &good().to_string()),
        key.sign_text(r#"{"alg":"ES256","kid":"k","crit":[],"b64":false}"#, &good().to_string()),
        key.sign_text(head, "not json"),
        key.sign_text(head, "[]"),
        key.sign_text(head, "null"),
        key.sign_text(head, ""),
        key.sign_text(head, r#"{"userId":"user-1""#),
        key.sign_text(head, &"{\"a\":".repeat(1000)),
        key.sign_text(head, &format!(r#"{{"userId":"user-1","pad":"{}"}}"#, "x".repeat(40_000))),
        "x".repeat(1_000_000),
        "\u{0}\u{1}.\u{2}.\u{3}".into(),
        "é.✓.😀".into(),
    ];
    assert!(malformed.len() >= 30);
    for text in &malformed {
        let shown: String = text.chars().take(80).collect();
        assert_eq!(check(&verifier, text).await, Err(Refusal::Malformed), "{shown}");
    }
    let swapped = format!("{header}.{}.{signature}", b64(and(good(), "userId", json!("user-2")).to_string()));
    let stretched = format!("{header}.{payload}.{}", b64([key.sign_bytes(b"x"), vec![0]].concat()));
    let zero = format!("{header}.{payload}.{}", b64([0; 64]));
    let empty = format!("{header}.{payload}.");
    for text in [swapped, stretched, zero, empty] {
        assert_eq!(check(&verifier, &text).await, Err(Refusal::Signature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_text_is_refused(text in ".*", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let verifier = verifier(&[Key::es256().jwk("k")]);
        runtime.block_on(async {
            assert!(check(&verifier, &text).await.is_err());
            assert!(check(&verifier, &parts.join(".")).await.is_err());
        });
    }

    #[test]
    fn one_changed_character_is_enough(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let key = Key::eddsa();
        let token = key.token("k", &good());
        let at = at.index(token.len());
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        let refused = runtime.block_on(check(&verifier(&[key.jwk("k")]), &changed)).is_err();
        prop_assert!(refused);
    }

    #[test]
    fn ciphertext_that_was_tampered_with_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let text = STANDARD.encode(bytes);
        let gcm = ClaimsKey::new(ClaimsCipher::Aes256Gcm, &Secret::new("s"));
        prop_assert!(gcm.decrypt(&text).is_err());
        // CBC is not authenticated: anything may come out, but nothing may break.
        let _ = ClaimsKey::new(ClaimsCipher::Aes256Cbc, &Secret::new("s")).decrypt(&text);
    }

    #[test]
    fn what_is_encrypted_decrypts(text in ".*", secret in ".*") {
        for cipher in [ClaimsCipher::Aes256Cbc, ClaimsCipher::Aes256Gcm] {
            let key = ClaimsKey::new(cipher, &Secret::new(secret.clone()));
            prop_assert_eq!(key.decrypt(&key.encrypt(&text)), Ok(text.clone()));
        }
    }
}
