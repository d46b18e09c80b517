//! One request for a JWK set, bounded in time and size.

use std::time::{Duration, Instant};

use crate::jwk::{KeySet, KeySetError};

/// Why there is no (newer) JWK set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    #[error("not an absolute http or https URL: {0}")]
    Address(String),
    /// Nothing to do with the URL: there may be no file where `SSL_CERT_FILE` says.
    #[error(
        "there are no root certificates to trust, those of the system or in the file that SSL_CERT_FILE names: {0}"
    )]
    NoRoots(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the issuer cannot be reached: {0}")]
    Transport(String),
    #[error("the issuer answered {0}")]
    Status(u16),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Content(#[from] KeySetError),
}

impl JwkSetError {
    /// Stable, for metric labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::NoRoots(_) => "no_roots",
            Self::Timeout => "timeout",
            Self::Transport(_) => "transport",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too_large",
            Self::Content(KeySetError::Malformed) => "malformed",
            Self::Content(KeySetError::NoUsableKey) => "no_usable_key",
        }
    }
}

impl From<reqwest::Error> for JwkSetError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Transport(innermost(error))
    }
}

/// The URL may carry credentials, and the innermost cause is the one that tells.
fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

pub(super) struct Source {
    url: reqwest::Url,
    http: reqwest::Client,
    body_limit: usize,
}

impl Source {
    pub(super) fn new(url: &str, timeout: Duration, body_limit: usize) -> Result<Self, JwkSetError> {
        let url: reqwest::Url = url.parse().map_err(|error| JwkSetError::Address(format!("{error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(JwkSetError::Address(format!("its scheme is {}", url.scheme())));
        }
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .user_agent(concat!("signal/", env!("CARGO_PKG_VERSION")))
            // Fetches are hours apart: a connection that waits for the next is dead by then.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| JwkSetError::NoRoots(innermost(error)))?;
        Ok(Self { url, http, body_limit })
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, JwkSetError> {
        let started = Instant::now();
        let outcome = self.request().await;
        let result = outcome.as_ref().err().map_or("ok", JwkSetError::name);
        metrics::counter!("signal_jwks_fetches_total", "result" => result).increment(1);
        metrics::histogram!("signal_jwks_fetch_duration_seconds").record(started.elapsed());
        outcome
    }

    async fn request(&self) -> Result<KeySet, JwkSetError> {
        let mut response = self.http.get(self.url.clone()).header("accept", "application/json").send().await?;
        if !response.status().is_success() {
            return Err(JwkSetError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.body_limit {
                return Err(JwkSetError::TooLarge(self.body_limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(KeySet::parse(&body)?)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url.host_str().unwrap_or_default())
    }
}
