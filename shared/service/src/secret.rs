//! A value that never prints.

use std::{convert::Infallible, fmt, str::FromStr};

use zeroize::Zeroizing;

/// Text that is wiped from memory when dropped and that neither `Debug` nor an
/// error message shows. [`Secret::expose`] is the only way to its content, so a
/// search for that word finds every use.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The content itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// For a secret that is a URL: scheme, host and path without user, password and
    /// query, which is what a log may show. Anything that is not a URL is `[redacted]`.
    pub fn without_credentials(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return "[redacted]".to_owned();
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        // A password may hold a raw '@' or '/': the last '@' ends the credentials.
        let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{shown}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_content() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn a_url_is_shown_without_what_must_stay_hidden() {
        for (url, shown) in [
            ("redis://:pass@cache:6379/0", "redis://cache:6379/0"),
            ("postgres://u:p@s/s@db/signal?password=x", "postgres://db/signal"),
            ("redis-cluster://a:1,b:2", "redis-cluster://a:1,b:2"),
            ("just a password", "[redacted]"),
        ] {
            assert_eq!(Secret::new(url).without_credentials(), shown);
        }
    }
}
