//! Connections of which neither end is left holding anything when the other is out of reach.
//!
//! After a failover, or when a firewall has forgotten it, a connection is open and carries nothing. The system notices
//! on this side after a quarter of an hour, and on the server's after two.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::store::OpenError;

/// How long a connection that was given back may take to answer. sqlx itself would wait for ever, and count it as one of
/// those that there may be.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);

/// What the server is told, unless the URL's `options` say otherwise. Between two statements of a transaction there is
/// nothing that takes time: one that stands there has lost its client, and keeps rows from whoever writes them again.
const SESSION: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "60s"),
    ("tcp_keepalives_interval", "10s"),
    ("tcp_keepalives_count", "6"),
];

/// A pool that connects when it is first used. What a statement may take is known on this side too; the server is told so
/// that one whose client has given up ends as well.
pub(super) struct Pool {
    pub(super) connections: u32,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

pub(super) fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(OpenError::Url)?;
    Ok(with(options.application_name("signal-worker"), SESSION))
}

/// Those of them that are not said already.
fn with<'a>(options: PgConnectOptions, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> PgConnectOptions {
    let said = options.get_options().unwrap_or_default().to_owned();
    options.options(settings.into_iter().filter(|(name, _)| !said.contains(name)))
}

impl Pool {
    pub(super) fn open(self, options: PgConnectOptions) -> PgPool {
        let statement_timeout = format!("{}ms", self.statement_timeout.as_millis());
        PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.connect_timeout)
            .after_release(|connection, _| {
                Box::pin(async move {
                    match tokio::time::timeout(RETURN_TIMEOUT, connection.ping()).await {
                        Ok(answer) => answer.map(|()| true),
                        // Closed without a word, as nobody hears it.
                        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
                    }
                })
            })
            .connect_lazy_with(with(options, [("statement_timeout", statement_timeout.as_str())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says_is_left_as_it_is() {
        let given = options("postgres://a@b/c?options=-c%20idle_in_transaction_session_timeout%3D1s").expect("a URL");
        let said = given.get_options().expect("some are set");
        assert_eq!(said.matches("idle_in_transaction_session_timeout").count(), 1, "{said}");
        assert!(said.contains("timeout=1s") && said.contains("tcp_keepalives_idle=60s"), "{said}");
    }
}
