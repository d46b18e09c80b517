//! Parsers for durations, sizes and paths as people write them.

use std::time::Duration;

use super::endpoint;

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// `500ms`, `30s`, `5m`, `12h`, and sums of them such as `1m30s`. A bare `0` is zero.
///
/// # Errors
/// A message that says what is expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "expected a duration such as 500ms, 30s, 5m or 1h30m";
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, tail) = leading_number(rest).ok_or(EXPECTED)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let (_, factor) = DURATIONS.iter().find(|(name, _)| *name == unit.trim()).ok_or(EXPECTED)?;
        total = number.checked_mul(*factor).and_then(|ms| ms.checked_add(total)).ok_or("too long a duration")?;
        rest = next;
    }
    if text.trim().is_empty() { Err(EXPECTED.to_owned()) } else { Ok(Duration::from_millis(total)) }
}

/// The same, and longer than nothing: what ends at once, or happens every zero seconds, is a mistake.
///
/// # Errors
/// A message that says what is expected.
pub fn some_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| if time.is_zero() { Err("must not be zero".to_owned()) } else { Ok(time) })
}

/// `64KiB`, `1MiB`, `2GB`, `512B` or a bare number of bytes.
///
/// # Errors
/// A message that says what is expected.
pub fn byte_size(text: &str) -> Result<usize, String> {
    const EXPECTED: &str = "expected a size such as 512B, 64KiB or 1MiB";
    let (number, unit) = leading_number(text.trim()).ok_or(EXPECTED)?;
    let factor = match unit.trim() {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or(EXPECTED)?.1,
    };
    number
        .checked_mul(factor)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| "too large a size".to_owned())
}

/// The same, and more than nothing.
///
/// # Errors
/// A message that says what is expected.
pub fn some_bytes(text: &str) -> Result<usize, String> {
    byte_size(text).and_then(|size| if size == 0 { Err("must not be zero".to_owned()) } else { Ok(size) })
}

/// A whole number from 1 on.
///
/// # Errors
/// If it is none.
pub fn some(text: &str) -> Result<usize, String> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a number from 1 on".to_owned())
}

/// `host[:port],host[:port]`, as it was written.
///
/// # Errors
/// Which of them is none.
pub fn hosts(text: &str) -> Result<String, String> {
    let hosts: Vec<&str> = text.split(',').map(str::trim).collect();
    // The port matters to nobody here.
    endpoint::endpoints(&hosts.join(","), 1).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// An absolute path prefix, without the slash at its end.
///
/// # Errors
/// If it does not begin with a slash or has characters that a path has not.
pub fn url_path(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if !text.starts_with('/') || !text.bytes().all(allowed) || text.contains("//") {
        return Err("expected an absolute path such as /v1/api/signal".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An absolute http or https URL, as it was written but for slashes at its end.
///
/// # Errors
/// If it is none.
pub fn http_url(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    match uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("expected a URL such as http://localhost:4318".to_owned()),
    }
}

/// The same of a collector, without the path that is added for traces.
///
/// # Errors
/// If it has that path already.
pub fn collector_url(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    if url.ends_with("/v1/traces") { Err("/v1/traces is added to it".to_owned()) } else { Ok(url) }
}

/// A number from 0 to 1.
///
/// # Errors
/// If it is none.
pub fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// `name=value` items separated by commas, a comma within a value written `\,`. Spaces around names, values and empty
/// items mean nothing.
///
/// # Errors
/// The number of the first item that is no pair, from 1; its text may be a secret.
pub fn pairs(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut items = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let item = items.last_mut().expect("it begins with one item and only grows");
        match next {
            '\\' if rest.peek() == Some(&',') => item.extend(rest.next()),
            ',' => items.push(String::new()),
            other => item.push(other),
        }
    }
    let items = items.iter().enumerate().filter(|(_, item)| !item.trim().is_empty());
    items
        .map(|(at, item)| match item.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            _ => Err(at + 1),
        })
        .collect()
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in
            [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("12h", 43_200_000), ("1m30s", 90_000), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "3d", "30 seconds", "99999999999999999999s", "9999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("2 MB", 2_000_000),
            ("1gib", 1 << 30),
        ] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1TiBs", "99999999999GiB"] {
            assert!(byte_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_must_not_be_nothing() {
        assert_eq!(some_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!((some_bytes("1KiB"), some(" 7 ")), (Ok(1024), Ok(7)));
        for zero in ["0", "0s"] {
            assert_eq!(some_duration(zero), Err("must not be zero".to_owned()));
        }
        assert_eq!(some_bytes("0"), Err("must not be zero".to_owned()));
        for text in ["0", "", "-1", "1.5", "many"] {
            assert!(some(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_with_and_without_ports() {
        for text in ["a:9092", "a", "a:1, b:2", "[::1]:9092,10.0.0.1:65535"] {
            assert_eq!(hosts(text), Ok(text.to_owned()));
        }
        for text in ["", " ", "http://k:1", "a:99999", "a:0", "a,,b", "a b", "a:x", "0.0.0.0:9092"] {
            assert!(hosts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_and_ratios() {
        assert_eq!(http_url("http://localhost:4318/"), Ok("http://localhost:4318".to_owned()));
        assert_eq!(http_url("https://otel.example/base"), Ok("https://otel.example/base".to_owned()));
        for text in ["", "localhost:4318", "/v1", "ftp://a", "http://", "http://a?b", "http://a b"] {
            assert!(http_url(text).is_err(), "{text}");
        }
        assert_eq!(collector_url("http://otel:4318/base/"), Ok("http://otel:4318/base".to_owned()));
        assert!(collector_url("http://otel:4318/v1/traces/").unwrap_err().contains("/v1/traces"));
        assert_eq!((ratio("0"), ratio("1.0"), ratio(" 0.25 ")), (Ok(0.0), Ok(1.0), Ok(0.25)));
        for text in ["", "-0.1", "1.1", "NaN", "half", "inf"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pairs_of_a_list() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let both = vec![pair("sasl.password", "a=b,c\\d"), pair("x", "")];
        assert_eq!(pairs(r" sasl.password = a=b\,c\d ,, x= ,"), Ok(both));
        assert_eq!(pairs(""), Ok(Vec::new()));
        for (text, at) in [("hunter2", 1), ("a=b,hunter2", 2), ("=x", 1)] {
            assert_eq!(pairs(text), Err(at), "{text}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(url_path("/v1/api/signal/"), Ok("/v1/api/signal".to_owned()));
        assert_eq!(url_path("/"), Ok(String::new()));
        for text in ["", "v1", "/a b", "/a//b", "/{id}", "/a?b"] {
            assert!(url_path(text).is_err(), "{text}");
        }
    }
}
