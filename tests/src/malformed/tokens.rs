//! Tokens that nobody should be let in with.

use std::time::Duration;

use serde_json::json;
use signal_harness::{Algorithm, Issuer};

/// Each is refused; the issuer has signed some of them.
pub fn all(issuer: &Issuer, other: &Issuer) -> Vec<String> {
    let good = issuer.token("an");
    let (signed, signature) = good.rsplit_once('.').unwrap_or_default();
    let claims = || Issuer::claims("an", Duration::from_secs(600));
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = claims();
        claims[name] = value;
        issuer.mint(Algorithm::Es256, &claims)
    };
    let header = |header: serde_json::Value| issuer.mint_with(Algorithm::Es256, &header, &claims());
    vec![
        String::new(),
        "x".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        "x".repeat(10_000),
        format!("{good}.{signature}"),
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.{}", signature.chars().rev().collect::<String>()),
        other.token("an"),
        header(json!({ "alg": "none" })),
        header(json!({ "alg": "HS256", "kid": Algorithm::Es256.kid() })),
        header(json!({ "alg": "RS256", "kid": Algorithm::Es256.kid() })),
        header(json!({ "alg": "ES256", "kid": "nobody-knows" })),
        with("exp", json!(1)),
        with("exp", json!("soon")),
        with("nbf", json!(4_000_000_000_u64)),
        with("userId", json!("")),
        with("userId", json!([])),
    ]
}
