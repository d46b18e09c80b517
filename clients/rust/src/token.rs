//! Where tokens come from. A token is compared and sent, never printed.

use std::{error::Error, fmt, pin::Pin, sync::Arc};

use zeroize::Zeroizing;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn expose(&self) -> &str {
        &self.0
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
        (self.0)().await
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
}
