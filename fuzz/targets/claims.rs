//! What stands behind a good signature: claims in plain, and encrypted with either cipher, by the current secret and by
//! the one before. They must say the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use signal_auth::{ClaimsCipher, ClaimsKey, Verifier, VerifyError, claims};
use signal_fuzz::{
    issuer::{Issuer, rotated, secret, verifier, verify},
    memory::within,
};

struct Scene {
    issuer: Issuer,
    plain: Verifier,
    encrypted: [(ClaimsKey, [Verifier; 2]); 2],
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let issuer = Issuer::fixed();
    let keys = issuer.key_set();
    let encrypted = [ClaimsCipher::Aes256Cbc, ClaimsCipher::Aes256Gcm]
        .map(|cipher| (ClaimsKey::new(cipher, &secret()), [verifier(&keys, Some(cipher)), rotated(&keys, cipher)]));
    Scene { plain: verifier(&keys, None), issuer, encrypted }
});

fuzz_target!(|bytes: &[u8]| {
    let scene = &*SCENE;
    for (key, _) in &scene.encrypted {
        decrypts_in_one_form(key, bytes);
    }

    let token = scene.issuer.sign(bytes);
    let plain = within(160, bytes, || verify(&scene.plain, &token));
    assert_ne!(plain, Err(VerifyError::Unavailable));
    let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(bytes) else {
        assert!(plain.is_err(), "claims that are no object speak for nobody");
        return;
    };
    for (key, verifiers) in &scene.encrypted {
        let mut iv = 0u128;
        let encrypted = claims::encrypt(&claims, key, || {
            iv += 1;
            iv.to_be_bytes()
        });
        let encrypted = Value::Object(encrypted).to_string();
        let token = scene.issuer.sign(encrypted.as_bytes());
        // Longer than a token may be: encryption makes claims half as long again, twice over.
        if token.len() <= 32 * 1024 {
            for verifier in verifiers {
                assert_eq!(within(160, encrypted.as_bytes(), || verify(verifier, &token)), plain);
            }
        }
    }
});

/// Text that decrypts is the text that encrypting the result gives: there is no second one for the same.
fn decrypts_in_one_form(key: &ClaimsKey, bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(plain) = within(8, bytes, || key.decrypt(text)) else { return };
    let sealed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).expect("it was decrypted");
    let iv = *sealed.first_chunk::<16>().expect("it was decrypted");
    assert_eq!(key.encrypt_with_iv(&plain, iv), text);
}
