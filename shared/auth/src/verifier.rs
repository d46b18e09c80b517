//! The checks, in the order in which a token must pass them.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use signal_service::Secret;

use crate::{
    claims,
    claims_cipher::{ClaimsCipher, ClaimsKey},
    claims_keys::ClaimsKeys,
    clock::Clock,
    jwk,
    jwks::JwkSetClient,
    principal::Principal,
    token::Token,
};

/// Why a token was refused. [`Refusal::name`] is stable: it labels metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("not a JSON Web Token")]
    Malformed,
    #[error("an algorithm that is not the key's")]
    Algorithm,
    #[error("signed with a key that is not in the JWK set")]
    UnknownKey,
    #[error("the signature does not match")]
    Signature,
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    NotYetValid,
    #[error("from another issuer")]
    Issuer,
    #[error("for another audience")]
    Audience,
    #[error("claims that cannot be read")]
    Claims,
}

impl Refusal {
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims => "claims",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The token is bad; the same token will be refused again.
    #[error("the token is refused: {0}")]
    Refused(#[from] Refusal),
    /// Checking itself failed: no JWK set that could hold the token's key is to be had.
    #[error("the token cannot be checked: the issuer's JWK set is unavailable")]
    Unavailable,
}

impl VerifyError {
    /// Stable, for metric labels: a [`Refusal::name`] or `unavailable`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.name(),
            Self::Unavailable => "unavailable",
        }
    }
}

#[derive(Debug, Clone)]
pub struct VerifierSettings {
    /// `iss` must be this, when configured.
    pub issuer: Option<String>,
    /// `aud` must be or contain this, when configured.
    pub audience: Option<String>,
    /// With it, every claim but the registered ones is encrypted.
    pub application_secret: Option<Secret>,
    /// While the secret is rotated: claims may be encrypted with this one, too. Nothing without the other.
    pub previous_application_secret: Option<Secret>,
    pub claims_cipher: ClaimsCipher,
    /// By how much the issuer's clock may differ.
    pub leeway: Duration,
    pub clock: Clock,
}

impl Default for VerifierSettings {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            application_secret: None,
            previous_application_secret: None,
            claims_cipher: ClaimsCipher::default(),
            leeway: Duration::from_secs(5),
            clock: Clock::system(),
        }
    }
}

/// Turns tokens into principals. One is shared by everything in a process.
#[derive(Debug)]
pub struct Verifier {
    issuer: Option<String>,
    audience: Option<String>,
    claims_keys: Option<ClaimsKeys>,
    leeway_seconds: i64,
    clock: Clock,
    keys: Arc<JwkSetClient>,
}

impl Verifier {
    pub fn new(settings: VerifierSettings, keys: Arc<JwkSetClient>) -> Self {
        let key = |secret: Secret| ClaimsKey::new(settings.claims_cipher, &secret);
        let previous = settings.previous_application_secret.map(key);
        let claims_keys = settings.application_secret.map(key).map(|current| ClaimsKeys::new(current, previous));
        Self {
            issuer: settings.issuer,
            audience: settings.audience,
            claims_keys,
            leeway_seconds: i64::try_from(settings.leeway.as_secs()).unwrap_or(i64::MAX),
            clock: settings.clock,
            keys,
        }
    }

    /// Whether there are keys to check with.
    pub fn ready(&self) -> bool {
        self.keys.ready()
    }

    /// Checks a token and says whom it speaks for. Waits for the issuer only when there
    /// is no JWK set, it has outlived its time, or the token's key is new.
    pub async fn verify(&self, token: &str) -> Result<Principal, VerifyError> {
        let outcome = self.check(token).await;
        let result = outcome.as_ref().map_or_else(|error| error.name(), |_| "accepted");
        metrics::counter!("signal_token_verifications_total", "result" => result).increment(1);
        outcome
    }

    async fn check(&self, token: &str) -> Result<Principal, VerifyError> {
        let token = Token::parse(token)?;
        if !jwk::is_supported(&token.alg) {
            return Err(Refusal::Algorithm.into());
        }
        let keys = self.keys.keys_for(token.kid.as_deref()).await?;
        let key = keys.find(token.kid.as_deref(), &token.alg)?;
        key.verify(token.signed, &token.signature)?;
        Ok(self.read(&token.claims()?)?)
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<Principal, Refusal> {
        let expires_at = self.check_times(claims)?;
        if self.issuer.is_some() && claims.get("iss").and_then(Value::as_str) != self.issuer.as_deref() {
            return Err(Refusal::Issuer);
        }
        if let Some(audience) = &self.audience {
            let named = match claims.get("aud") {
                Some(Value::String(one)) => one == audience,
                Some(Value::Array(many)) => many.iter().any(|one| one == audience),
                _ => false,
            };
            if !named {
                return Err(Refusal::Audience);
            }
        }
        match &self.claims_keys {
            Some(keys) => keys.principal(claims, expires_at),
            None => claims::principal(claims, expires_at),
        }
    }

    fn check_times(&self, claims: &Map<String, Value>) -> Result<Option<i64>, Refusal> {
        let now = self.clock.unix_ms().div_euclid(1000);
        let expires_at = numeric_date(claims, "exp")?;
        if expires_at.is_some_and(|at| now >= at.saturating_add(self.leeway_seconds)) {
            return Err(Refusal::Expired);
        }
        if numeric_date(claims, "nbf")?.is_some_and(|at| at > now.saturating_add(self.leeway_seconds)) {
            return Err(Refusal::NotYetValid);
        }
        Ok(expires_at)
    }
}

/// A NumericDate (RFC 7519, section 2): seconds, which may have a fraction.
fn numeric_date(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(seconds));
    }
    let seconds = value.as_f64().ok_or(Refusal::Claims)?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, which is what far future and past mean here")]
    Ok(Some(seconds.floor() as i64))
}
