//! Web origins that may talk to Signal: `SIGNAL_ALLOWED_ORIGINS`.

use std::str::FromStr;

/// Which origins (RFC 6454) are allowed. `*` allows all, `https://*.example.com` the direct subdomains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    Any,
    Listed(Vec<Pattern>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// `host` is what follows `*.` if `subdomains`.
    origin: Origin,
    subdomains: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    /// The scheme's own if it is not written.
    port: Option<u16>,
}

impl AllowedOrigins {
    /// Whether the value of an `Origin` header is allowed; one that is no origin is not, unless everything is.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(patterns) => {
                Origin::parse(origin).is_ok_and(|origin| patterns.iter().any(|pattern| pattern.matches(&origin)))
            }
        }
    }
}

impl FromStr for AllowedOrigins {
    type Err = String;

    /// A list separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        match items[..] {
            [] => Err("expected origins such as https://example.com, or *".to_owned()),
            ["*"] => Ok(Self::Any),
            _ => items.into_iter().map(Pattern::parse).collect::<Result<_, _>>().map(Self::Listed),
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{text}` {reason}");
        if text == "*" {
            return Err(wrong("allows everything and has to stand alone"));
        }
        let (exact, subdomains) = match text.split_once("://*.") {
            Some((scheme, rest)) => (format!("{scheme}://{rest}"), true),
            None => (text.to_owned(), false),
        };
        let origin = Origin::parse(&exact).map_err(wrong)?;
        Ok(Self { origin, subdomains })
    }

    fn matches(&self, origin: &Origin) -> bool {
        if !self.subdomains {
            return self.origin == *origin;
        }
        let below = origin.host.strip_suffix(&self.origin.host).and_then(|label| label.strip_suffix('.'));
        let direct = below.is_some_and(|label| !label.is_empty() && !label.contains('.'));
        direct && (&self.origin.scheme, self.origin.port) == (&origin.scheme, origin.port)
    }
}

impl Origin {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, authority) = text.split_once("://").ok_or("is no origin such as https://example.com")?;
        let scheme = scheme.to_ascii_lowercase();
        let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(of_scheme) {
            return Err("has no scheme such as https");
        }
        if authority.contains(['/', '?', '#', '@']) {
            return Err("has more than a scheme, a host and a port");
        }
        let (host, port) = host_and_port(authority)?;
        let standard = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port: port.or(standard) })
    }
}

const NO_HOST: &str = "has no host (in ASCII, as punycode)";

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    // The colons of an IPv6 address stand within its brackets.
    let after_address = match (authority.starts_with('['), authority.rfind(']')) {
        (true, None) => return Err(NO_HOST),
        (_, end) => end.map_or(0, |end| end + 1),
    };
    let (host, port) = match authority[after_address..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_address + colon);
            let digits = &port[1..];
            let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            (host, Some(digits.parse().ok().filter(|_| only_digits).ok_or("has no port from 0 to 65535")?))
        }
        None => (authority, None),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Ok((host, port));
    }
    if host.contains('*') {
        return Err("has a * that is not its whole first label, as in https://*.example.com");
    }
    // A browser sends a name in other letters as punycode.
    let labels = !host.is_empty() && host.split('.').all(|label| !label.is_empty());
    if labels && host.bytes().all(of_name) { Ok((host, port)) } else { Err(NO_HOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> AllowedOrigins {
        text.parse().unwrap()
    }

    #[test]
    fn exact_origins_are_compared_in_their_normal_form() {
        let allowed =
            allowed("https://Example.com, HTTP://localhost:3000,https://b.example:443,capacitor://localhost,");
        for (origin, is_allowed) in [
            ("https://example.com", true),
            ("https://EXAMPLE.com:443", true),
            ("https://b.example", true),
            ("http://localhost:3000", true),
            ("capacitor://localhost", true),
            ("http://example.com", false),
            ("https://example.com:8443", false),
            ("https://a.example.com", false),
            ("https://example.com.evil.net", false),
            ("https://evil-example.com", false),
            ("http://localhost", false),
            ("https://example.com/", false),
            ("https://user@example.com", false),
            ("example.com", false),
            ("null", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(allowed.allows(origin), is_allowed, "{origin}");
        }
    }

    #[test]
    fn a_star_is_exactly_one_label() {
        let allowed = allowed("https://*.example.com, http://*.test:8080");
        for (origin, is_allowed) in [
            ("https://a.example.com", true),
            ("https://A-1.Example.Com:443", true),
            ("http://x.test:8080", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://a.b.example.com", false),
            ("https://aexample.com", false),
            ("http://a.example.com", false),
            ("https://a.example.com:8443", false),
            ("http://x.test", false),
            ("https://*.example.com", false),
        ] {
            assert_eq!(allowed.allows(origin), is_allowed, "{origin}");
        }
    }

    #[test]
    fn a_lone_star_allows_everything() {
        for origin in ["https://example.com", "null", "anything at all"] {
            assert!(allowed(" * ").allows(origin));
        }
    }

    #[test]
    fn addresses_keep_their_brackets() {
        let allowed = allowed("http://[::1]:3000,https://[2001:DB8::1],http://127.0.0.1:80");
        for origin in ["http://[::1]:3000", "https://[2001:db8::1]:443", "http://127.0.0.1"] {
            assert!(allowed.allows(origin), "{origin}");
        }
        assert!(!allowed.allows("http://[::1]") && !allowed.allows("http://::1:3000"));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_what_is_wrong() {
        for (text, reason) in [
            ("", "expected origins"),
            (" , ", "expected origins"),
            ("example.com", "`example.com` is no origin"),
            ("null", "is no origin"),
            ("https://example.com/", "more than a scheme, a host and a port"),
            ("https://u:p@example.com", "more than"),
            ("https://example.com,*", "stand alone"),
            ("*,*", "stand alone"),
            ("https://*", "whole first label"),
            ("https://a.*.com", "whole first label"),
            ("https://*a.com", "whole first label"),
            ("https://*.", "no host"),
            ("https://*.*.com", "whole first label"),
            ("https://", "no host"),
            ("https://a..b", "no host"),
            ("https://bücher.example", "punycode"),
            ("https://a b", "no host"),
            ("https://a:", "no port"),
            ("https://a:b", "no port"),
            ("https://a:+1", "no port"),
            ("https://a:65536", "no port"),
            ("http://[::1", "no host"),
            ("ht tp://a", "no scheme"),
            ("://a", "no scheme"),
        ] {
            let error = text.parse::<AllowedOrigins>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
