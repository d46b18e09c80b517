//! What a database's URL may say behind its question mark. The driver passes over what it does not know, and
//! `sslmod=require` would be a connection without TLS.

use super::unknown::resembling;

const POSTGRES: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Counted from 1. What resembles nothing is not shown: a password with a question mark in it would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownParameter {
    #[error("parameter {number} of the database URL, `{name}`, is unknown (did you mean {nearest}?)")]
    Resembling { number: usize, name: String, nearest: &'static str },
    #[error("parameter {number} of the database URL is unknown; there are {}", POSTGRES.join(", "))]
    Unheard { number: usize },
}

/// # Errors
/// If a `postgres://` URL has a parameter that the driver does not know.
pub fn check(url: &str) -> Result<(), UnknownParameter> {
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let query = url.split('#').next().and_then(|url| url.split_once('?')).filter(|_| is_postgres);
    let Some((_, query)) = query else { return Ok(()) };
    for (pair, number) in query.split('&').filter(|pair| !pair.is_empty()).zip(1..) {
        let name = pair.split('=').next().unwrap_or_default();
        // A driver's own way of writing one of the `options`; it may also be encoded.
        let is_option = name.starts_with("options[") || name.to_ascii_lowercase().starts_with("options%5b");
        if is_option || POSTGRES.contains(&name) {
            continue;
        }
        return Err(match resembling(name, POSTGRES) {
            Some(nearest) => UnknownParameter::Resembling { number, name: name.to_owned(), nearest },
            None => UnknownParameter::Unheard { number },
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_would_pass_over_is_refused() {
        for url in [
            "postgres://u:p@db/signal",
            "postgres://u:p@db/signal?",
            "postgresql://db/signal?sslmode=require&host=/run/postgresql&options=-c%20a%3Db",
            "postgres://db/signal?options[statement_timeout]=1s&options%5Bx%5D=1",
            "sqlite://signal.db?mode=ro",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        let typo = check("postgres://db/signal?host=a&sslmod=require").unwrap_err().to_string();
        assert_eq!(typo, "parameter 2 of the database URL, `sslmod`, is unknown (did you mean sslmode?)");
        let password = check("postgres://u:a?hunter2@db/signal").unwrap_err().to_string();
        assert!(password.starts_with("parameter 1 ") && !password.contains("hunter2"), "{password}");
    }
}
