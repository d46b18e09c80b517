//! The settings of token verification, shared by everything that verifies.

use signal_service::Secret;

use crate::{claims_cipher::ClaimsCipher, verifier::VerifierSettings};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tokens")]
pub struct AuthSettings {
    /// Where the issuer publishes its JWK set (http or https).
    #[arg(long, env = "SIGNAL_JWKS_URL", value_name = "URL")]
    pub jwks_url: Option<String>,

    /// Accept only tokens whose `iss` is this.
    #[arg(long, env = "SIGNAL_JWT_ISSUER", value_name = "ISSUER")]
    pub jwt_issuer: Option<String>,

    /// Accept only tokens whose `aud` is or contains this.
    #[arg(long, env = "SIGNAL_JWT_AUDIENCE", value_name = "AUDIENCE")]
    pub jwt_audience: Option<String>,

    /// Secret with which the issuer encrypts claims; unset: claims are plain.
    #[arg(long, env = "SIGNAL_APPLICATION_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub application_secret: Option<Secret>,

    /// How claims are encrypted when there is an application secret.
    #[arg(long, env = "SIGNAL_CLAIMS_CIPHER", value_name = "CIPHER", value_enum, default_value = "aes-256-cbc")]
    pub claims_cipher: ClaimsCipher,
}

impl AuthSettings {
    pub fn verifier_settings(&self) -> VerifierSettings {
        VerifierSettings {
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            application_secret: self.application_secret.clone(),
            claims_cipher: self.claims_cipher,
            ..VerifierSettings::default()
        }
    }
}
