//! The application secret while it is rotated: tokens by the one and by the other are about.

use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};
use signal_auth::{
    ClaimsCipher, ClaimsKey, Principal, Refusal, Secret, Verifier, VerifierSettings, VerifyError, claims,
};

use crate::issuer::{Key, fixed, settings};

const CIPHERS: [ClaimsCipher; 2] = [ClaimsCipher::Aes256Cbc, ClaimsCipher::Aes256Gcm];

fn verifier(key: &Key, cipher: ClaimsCipher, current: &str, previous: Option<&str>) -> Verifier {
    let settings = VerifierSettings {
        application_secret: Some(current.into()),
        previous_application_secret: previous.map(Secret::from),
        claims_cipher: cipher,
        ..settings()
    };
    Verifier::new(settings, fixed(&[key.jwk("k")]))
}

fn sealed(cipher: ClaimsCipher, secret: &str, plain: &Value) -> Value {
    let key = ClaimsKey::new(cipher, &Secret::from(secret));
    let iv = || {
        let mut iv = [0; 16];
        aws_lc_rs::rand::fill(&mut iv).unwrap();
        iv
    };
    Value::Object(claims::encrypt(plain.as_object().unwrap(), &key, iv))
}

async fn verify(verifier: &Verifier, key: &Key, claims: &Value) -> Result<Principal, VerifyError> {
    verifier.verify(&key.token("k", claims)).await
}

const REFUSED: VerifyError = VerifyError::Refused(Refusal::Claims);

#[tokio::test]
async fn tokens_by_either_secret_are_accepted_and_counted_apart() {
    let key = Key::eddsa();
    let metrics = signal_service::telemetry::metrics();
    let count = |secret: &str| -> u64 {
        let line = format!("signal_token_decryptions_total{{secret=\"{secret}\"}} ");
        metrics.render().lines().find_map(|rendered| rendered.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    };
    let plain = json!({ "userId": "user-1", "roles": [{ "id": "1", "identifier": "cashier", "priority": 3 }] });
    for cipher in CIPHERS {
        let before = ["current", "previous", "neither"].map(count);
        let rotating = verifier(&key, cipher, "new", Some("old"));
        for secret in ["new", "old"] {
            let principal = verify(&rotating, &key, &sealed(cipher, secret, &plain)).await.unwrap();
            assert_eq!((principal.user_id.text(), &*principal.roles[0].identifier), ("user-1", "cashier"));
        }
        assert_eq!(verify(&rotating, &key, &sealed(cipher, "older", &plain)).await, Err(REFUSED));
        // Nothing of it is encrypted, and so nothing is said of secrets.
        assert_eq!(verify(&rotating, &key, &json!({ "sub": "user-2" })).await.unwrap().user_id.text(), "user-2");
        let after = ["current", "previous", "neither"].map(count);
        // Others that verify in this process are counted, too.
        assert!(after.iter().zip(before).all(|(after, before)| *after > before), "{before:?} {after:?}");

        let done = verifier(&key, cipher, "new", None);
        assert!(verify(&done, &key, &sealed(cipher, "new", &plain)).await.is_ok());
        assert_eq!(verify(&done, &key, &sealed(cipher, "old", &plain)).await, Err(REFUSED));
    }
}

#[tokio::test]
async fn a_token_is_read_by_one_secret_or_by_the_other_and_never_by_both() {
    let key = Key::eddsa();
    for cipher in CIPHERS {
        let mut mixed = sealed(cipher, "new", &json!({ "userId": "user-1" }));
        let by_old = sealed(cipher, "old", &json!({ "roles": ["1|super-admin|1"] }));
        mixed.as_object_mut().unwrap().extend(by_old.as_object().unwrap().clone());
        assert_eq!(verify(&verifier(&key, cipher, "new", Some("old")), &key, &mixed).await, Err(REFUSED));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Least is held together by CBC, which has no tag, and by a token with a `sub`, which speaks for somebody anyway.
    #[test]
    fn a_token_by_another_secret_is_never_taken_for_one_by_the_current(
        (current, other) in ("[ -~]{0,40}", "[ -~]{0,40}"),
        (name, value) in ("[a-z]{1,8}", "[0-9]{0,6}"),
    ) {
        let padded = |secret: &str| format!("{secret:0<32}")[..32].to_owned();
        prop_assume!(padded(&current) != padded(&other));
        let key = Key::eddsa();
        let plain = json!({ "sub": "user-1", format!("x{name}"): value });
        let claims = sealed(ClaimsCipher::Aes256Cbc, &other, &plain);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let outcomes = [None, Some(other.as_str())].map(|previous| {
            let verifier = verifier(&key, ClaimsCipher::Aes256Cbc, &current, previous);
            runtime.block_on(verify(&verifier, &key, &claims))
        });
        prop_assert_eq!(outcomes[0].as_ref().err(), Some(&REFUSED));
        let principal = outcomes[1].as_ref().map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(principal.user_id.text(), "user-1");
    }
}
