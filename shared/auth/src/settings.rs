//! The settings of token verification, shared by everything that verifies.

use std::time::Duration;

use signal_service::{Secret, settings::values};

use crate::{
    claims_cipher::{ClaimsCipher, ClaimsKey},
    jwks::JwkSetOptions,
    verifier::VerifierSettings,
};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Where the issuer publishes its JWK set (http or https).
    #[arg(long, env = "SIGNAL_JWKS_URL", value_name = "URL")]
    pub jwks_url: Option<String>,

    /// How long the JWK set is used before it is fetched again, and so how long a key that the issuer has withdrawn may
    /// still be accepted. A key that is new is fetched at once, when its first token comes.
    #[arg(long, env = "SIGNAL_JWKS_LIFETIME", value_name = "DURATION", default_value = "10m", value_parser = lifetime)]
    pub jwks_lifetime: Duration,

    /// Accept only tokens whose `iss` is this.
    #[arg(long, env = "SIGNAL_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Accept only tokens whose `aud` is or contains this.
    #[arg(long, env = "SIGNAL_JWT_AUDIENCE", value_name = "AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// Secret with which the issuer encrypts claims; unset: claims are plain.
    #[arg(long, env = "SIGNAL_APPLICATION_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub application_secret: Option<Secret>,

    /// The secret before, while it is rotated: claims that are encrypted with it are read, too.
    #[arg(long, env = "SIGNAL_APPLICATION_SECRET_PREVIOUS", value_name = "SECRET", hide_env_values = true)]
    pub application_secret_previous: Option<Secret>,

    /// How claims are encrypted when there is an application secret.
    #[arg(long, env = "SIGNAL_CLAIMS_CIPHER", value_name = "CIPHER", value_enum, default_value = "aes-256-cbc")]
    pub claims_cipher: ClaimsCipher,
}

/// Why two application secrets are of no use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    #[error("SIGNAL_APPLICATION_SECRET_PREVIOUS is set, and SIGNAL_APPLICATION_SECRET is not")]
    PreviousAlone,
    #[error(
        "SIGNAL_APPLICATION_SECRET_PREVIOUS makes the same key as SIGNAL_APPLICATION_SECRET: of a secret the first 32 \
         bytes count, and a shorter one is filled up with 0"
    )]
    Same,
}

impl AuthSettings {
    /// # Errors
    /// If a previous secret stands where it can't be meant.
    pub fn verifier_settings(&self) -> Result<VerifierSettings, SecretsError> {
        match (&self.application_secret, &self.application_secret_previous) {
            (None, Some(_)) => return Err(SecretsError::PreviousAlone),
            (Some(current), Some(previous)) if ClaimsKey::same(current, previous) => return Err(SecretsError::Same),
            _ => {}
        }
        Ok(VerifierSettings {
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            application_secret: self.application_secret.clone(),
            previous_application_secret: self.application_secret_previous.clone(),
            claims_cipher: self.claims_cipher,
            ..VerifierSettings::default()
        })
    }

    pub fn jwk_set_options(&self) -> JwkSetOptions {
        JwkSetOptions { lifetime: self.jwks_lifetime, ..JwkSetOptions::default() }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    // Below that the pause between two fetches decides.
    const SHORTEST: Duration = Duration::from_secs(30);
    let lifetime = values::duration(text)?;
    if lifetime < SHORTEST { Err("expected 30s or more".to_owned()) } else { Ok(lifetime) }
}

#[cfg(test)]
mod tests {
    use signal_service::settings::{Source, parse};

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        auth: AuthSettings,
    }

    fn read(variables: &[(&str, &str)]) -> Result<AuthSettings, String> {
        let source: Source = variables.iter().copied().collect();
        parse::<Cli>(["signal"], &source).map(|cli| cli.auth).map_err(|error| error.to_string())
    }

    #[test]
    fn a_previous_secret_that_changes_nothing_is_refused_and_not_shown() {
        const CURRENT: &str = "SIGNAL_APPLICATION_SECRET";
        const PREVIOUS: &str = "SIGNAL_APPLICATION_SECRET_PREVIOUS";
        let (long, longer) = ("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-2027");
        let judge = |variables: &[_]| read(variables).unwrap().verifier_settings().map(drop);
        assert_eq!(judge(&[(PREVIOUS, "hunter2")]), Err(SecretsError::PreviousAlone));
        for (current, previous) in [("hunter2", "hunter2"), ("hunter2", "hunter200"), (long, longer)] {
            assert_eq!(judge(&[(CURRENT, current), (PREVIOUS, previous)]), Err(SecretsError::Same), "{previous}");
        }
        assert_eq!(judge(&[(CURRENT, "hunter2"), (PREVIOUS, "hunter3")]), Ok(()));
        for error in [SecretsError::Same, SecretsError::PreviousAlone] {
            assert!(error.to_string().contains(PREVIOUS), "{error}");
        }
    }

    #[test]
    fn a_set_lives_ten_minutes_and_at_least_as_long_as_nobody_asks_again() {
        let lifetime = |value| read(&[("SIGNAL_JWKS_LIFETIME", value)]).map(|auth| auth.jwk_set_options().lifetime);
        assert_eq!(read(&[]).unwrap().jwk_set_options().lifetime, Duration::from_secs(600));
        assert_eq!(lifetime("30s"), Ok(Duration::from_secs(30)));
        for value in ["29s", "0", "soon"] {
            assert!(lifetime(value).unwrap_err().contains("SIGNAL_JWKS_LIFETIME"), "{value}");
        }
    }
}
