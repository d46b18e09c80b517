//! The keys that claims may be encrypted with: that of the application secret and, while it is rotated, of the one before.
//!
//! CBC has no tag by which a wrong key shows. What shows it is everything that must hold at once of a token under the
//! right one: each name and each value ends in a padding and is UTF-8, each value is JSON, and they speak for somebody.
//! Under a wrong key a name and its value pass by chance less than once in 10^18 tokens, and each further claim makes it
//! rarer. Nobody can try: only what the issuer has signed is decrypted at all. A token is read by one key or by the other,
//! never partly by each.

use serde_json::{Map, Value};

use crate::{
    claims::{self, REGISTERED},
    claims_cipher::ClaimsKey,
    principal::Principal,
    verifier::Refusal,
};

#[derive(Debug)]
pub(crate) struct ClaimsKeys {
    current: ClaimsKey,
    previous: Option<ClaimsKey>,
}

impl ClaimsKeys {
    pub(crate) fn new(current: ClaimsKey, previous: Option<ClaimsKey>) -> Self {
        Self { current, previous }
    }

    /// Whom the claims speak for, by the first key that makes sense of them.
    pub(crate) fn principal(&self, claims: &Map<String, Value>, expires_at: Option<i64>) -> Result<Principal, Refusal> {
        if claims.keys().all(|name| REGISTERED.contains(&name.as_str())) {
            // Nothing is encrypted, by either.
            return claims::principal(claims, expires_at);
        }
        let read = |key| claims::decrypt(claims, key).and_then(|plain| claims::principal(&plain, expires_at));
        let keys = [("current", Some(&self.current)), ("previous", self.previous.as_ref())];
        let found = keys.into_iter().find_map(|(secret, key)| Some((secret, read(key?).ok()?)));
        let secret = found.as_ref().map_or("neither", |(secret, _)| secret);
        metrics::counter!("signal_token_decryptions_total", "secret" => secret).increment(1);
        found.map(|(_, principal)| principal).ok_or(Refusal::Claims)
    }
}
