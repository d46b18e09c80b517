//! What the management API asks permission for, and the platform's database that answers: all SQL of this binary.
//!
//! A row with a domain speaks of that merchant or organizer alone. The edge is nobody's, so that a role which somebody
//! has within a domain gives nothing here, and only rows without one count.

pub mod postgres;
pub mod sqlite;

use std::{sync::Arc, time::Duration};

use signal_auth::{Permission, Policies, PolicyError, Secret};
use signal_service::settings::database_url::{self, UnknownParameter};

use self::{postgres::PostgresPolicies, sqlite::SqlitePolicies};

pub const LIST: Permission = Permission { code: "WebSocketClient.list", action: "list" };
pub const GET: Permission = Permission { code: "WebSocketClient.get", action: "get" };
pub const BROADCAST: Permission = Permission { code: "WebSocketClient.broadcast", action: "broadcast" };
pub const SEND_TO_ROOM: Permission = Permission { code: "WebSocketClient.sendToRoom", action: "sendToRoom" };
pub const SEND_TO_CLIENT: Permission = Permission { code: "WebSocketClient.sendToClient", action: "sendToClient" };
pub const DISCONNECT: Permission = Permission { code: "WebSocketClient.disconnect", action: "disconnect" };

/// For one question, from waiting for a connection to the answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);
/// The share of it that getting a connection may take. The pool tries a database that refuses connections again until
/// then, so this is how long a caller waits to hear that it is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the database URL must begin with postgres://, postgresql:// or sqlite://")]
    Scheme,
    /// Says which part is wrong, without the URL, which holds a password.
    #[error("the database URL is not valid")]
    Url(#[source] sqlx::Error),
    #[error(transparent)]
    Parameter(#[from] UnknownParameter),
}

/// The policies in the database of a URL, `postgres://…` or `sqlite://path`. Connects when first asked, and only ever
/// reads. To be called on a Tokio runtime.
///
/// # Errors
/// If the URL is not one of these; a database that is away is no error here.
pub fn open(url: &Secret) -> Result<Arc<dyn Policies>, OpenError> {
    database_url::check(url.expose())?;
    match url.expose().split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(PostgresPolicies::open(url)?)),
        Some(("sqlite", _)) => Ok(Arc::new(SqlitePolicies::open(url)?)),
        _ => Err(OpenError::Scheme),
    }
}

/// Bounds a question, and sorts its failure by what can be done about it. `is_schema` knows the dialect's codes.
async fn bounded<T>(
    question: impl Future<Output = Result<T, sqlx::Error>>,
    is_schema: fn(&str) -> bool,
) -> Result<T, PolicyError> {
    let error = match tokio::time::timeout(QUESTION_TIMEOUT, question).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => return Err(PolicyError::TimedOut),
    };
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Err(PolicyError::Away(format!("no connection within {CONNECT_TIMEOUT:?}")));
    }
    let code = error.as_database_error().and_then(|error| error.code());
    let text = error.to_string();
    Err(if code.is_some_and(|code| is_schema(&code)) { PolicyError::Schema(text) } else { PolicyError::Away(text) })
}
