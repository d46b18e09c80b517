//! A JSON Web Token from anybody, checked against keys whose other half nobody here has: only what their owner signed
//! is ever accepted.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signal_auth::{ClaimsCipher, Principal, Verifier, VerifyError};
use signal_fuzz::{
    issuer::{vectors, verifier, verify},
    memory::within,
};

/// A recorded token up to its signature, whom it speaks for, and a verifier that would take it.
struct Recorded {
    signed: String,
    principal: Principal,
    verifier: Verifier,
}

static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let vectors = vectors();
    let tokens = vectors["tokens"].as_array().expect("the vectors have tokens");
    tokens.iter().map(recorded).collect()
});

fn recorded(vector: &Value) -> Recorded {
    let cipher = vector["applicationSecret"].as_str().map(|_| ClaimsCipher::Aes256Cbc);
    let verifier = verifier(&vector["jwks"], cipher);
    let token = vector["token"].as_str().expect("a token is text");
    let principal = verify(&verifier, token).expect("a recorded token is good");
    let (signed, _) = token.rsplit_once('.').expect("a token has a signature");
    Recorded { signed: signed.to_owned(), principal, verifier }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(token) = str::from_utf8(bytes) else { return };
    for recorded in &*RECORDED {
        // What is not signed is not read further than its header.
        match within(32, bytes, || verify(&recorded.verifier, token)) {
            Ok(principal) => {
                let signed = token.rsplit_once('.').map(|(signed, _)| signed);
                assert_eq!(signed, Some(&*recorded.signed), "accepted, and nobody signed it");
                assert_eq!(principal, recorded.principal);
            }
            Err(VerifyError::Refused(_)) => {}
            Err(VerifyError::Unavailable) => panic!("the keys are here"),
        }
    }
});
