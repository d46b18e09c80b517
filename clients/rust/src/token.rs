//! Where tokens come from. A token is compared and sent, never printed.

use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// A token provider that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// When it expires, if it is a JWT that says so. Nothing about it is verified: that is the edge's part.
    pub(crate) fn expiry(&self) -> Option<OffsetDateTime> {
        #[derive(Deserialize)]
        struct Claims {
            exp: f64,
        }
        let claims = Zeroizing::new(BASE64URL.decode(self.0.split('.').nth(1)?).ok()?);
        let Claims { exp } = serde_json::from_slice(&claims).ok()?;
        // Whole seconds will do; what is too large for them is refused below.
        OffsetDateTime::from_unix_timestamp(exp as i64).ok()
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

type BoxError = Box<dyn Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<Token, BoxError>> + Send>>;

/// Asked for a token before every connection, and while one is live.
#[derive(Clone)]
pub(crate) struct TokenProvider(Arc<dyn Fn() -> Asked + Send + Sync>);

impl TokenProvider {
    pub(crate) fn new<F, Fut, E>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move || {
            let asked = ask();
            Box::pin(async move { asked.await.map(Token::from).map_err(Into::into) })
        }))
    }

    pub(crate) async fn ask(&self) -> Result<Token, BoxError> {
        match timeout(TIMEOUT, (self.0)()).await {
            Ok(asked) => asked,
            Err(_) => Err(format!("none within {TIMEOUT:?}").into()),
        }
    }
}

impl fmt::Debug for TokenProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenProvider(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_token() {
        assert_eq!(format!("{:?}", Token::from("secret".to_owned())), "Token(..)");
    }

    fn expiry(claims: &str) -> Option<i64> {
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        Token::from(format!("e30.{claims}.c2ln")).expiry().map(OffsetDateTime::unix_timestamp)
    }

    #[test]
    fn a_token_may_say_when_it_expires() {
        assert_eq!(expiry(r#"{"exp":1795423864,"sub":"u"}"#), Some(1_795_423_864));
        assert_eq!(expiry(r#"{"exp":1795423864.9}"#), Some(1_795_423_864));
        for claims in ["{}", r#"{"exp":null}"#, r#"{"exp":"1"}"#, r#"{"exp":1e300}"#, "[]", "nonsense"] {
            assert_eq!(expiry(claims), None, "{claims}");
        }
        for opaque in ["", "opaque", "a.b", "a.*.c", "a..c"] {
            assert_eq!(Token::from(opaque.to_owned()).expiry(), None, "{opaque}");
        }
    }
}
