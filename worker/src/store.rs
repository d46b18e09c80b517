//! The database, behind one trait: everything that is SQL in this binary lives in the two modules below it.
//!
//! Failures come in three kinds, because the pipeline does three things about them: it waits while the database is
//! away, says which schema it misses, and sets a row aside that the database will never take.

pub mod dry_run;
pub mod inbox;
pub mod patient;
pub mod postgres;
pub mod rows;
pub mod sqlite;
pub mod watch;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value};
use signal_service::{
    Secret,
    settings::database_url::{self, UnknownParameter},
};
use sqlx::error::DatabaseError;
use time::OffsetDateTime;

use self::{inbox::Inbox, postgres::PostgresStore, rows::Rows, sqlite::SqliteStore};
use crate::migrate::compare::{Unfit, Warning};

/// Both dialects read these.
const SEEDS: [&str; 2] = [
    include_str!("../../migrations/seed/0001_websocket_client_permissions.sql"),
    include_str!("../../migrations/seed/0002_websocket_client_policies.sql"),
];

/// No statement of ours takes this long on a healthy database; past it the connection counts as lost.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Somebody who belongs to an organizer or a merchant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub domain: String,
    pub user_id: String,
}

/// What an event says, once, however many people it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub event_id: String,
    pub kind: String,
    pub organizer_id: Option<String>,
    pub merchant_id: Option<String>,
    pub title: String,
    /// Markdown.
    pub content: String,
    pub metadata: Map<String, Value>,
}

/// One person's copy of a draft, to be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    pub id: String,
    /// Index into the drafts of the same call.
    pub draft: usize,
    pub recipient_id: String,
    pub created_at: OffsetDateTime,
}

/// A row as the table holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRow {
    pub id: String,
    pub draft: Draft,
    pub recipient_id: String,
    pub read_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub modified_at: OffsetDateTime,
}

/// What became of a [`NewRow`].
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    Inserted,
    /// The person had the event already.
    Existing(Box<StoredRow>),
    /// The person had the event already and has deleted it.
    Deleted,
    /// Another row has this id. Nothing was written; a new id may succeed.
    IdTaken,
}

/// Which scripts [`Store::migrate`] applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migration {
    /// None. A database that is not there is not made.
    Check,
    Seed,
    CoreSchemaAndSeed,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Can't be reached, or can't work at the moment. The same call may succeed later.
    #[error("the database can't be used at the moment: {0}")]
    Away(#[source] sqlx::Error),
    #[error("the database did not answer in time")]
    TimedOut,
    /// Reached, but its tables are not those of the platform's core: whoever changed them has to mend it.
    #[error("the database's tables are not as the platform's core has them: {0}")]
    Schema(#[source] sqlx::Error),
    /// Reached, and compared with what Signal needs.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The database will never take these values. The text has a code and no values: it may be logged.
    #[error("the database refuses the row ({code})")]
    Refused { code: String },
    /// Given up because the worker stops. What waits says so, [`patient::Patient`] for one, and never a store itself.
    #[error("given up because the worker stops")]
    Stopped,
}

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

/// What the pipeline asks of a database. Every call may be repeated after any failure.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// People of the `domains`, each once per domain, ordered by domain and user in the database's own order. Up to
    /// `limit`, beginning behind `after`.
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;

    /// Inserts the rows in one transaction, except those whose event and recipient the table has. Answers in the
    /// order of `rows`, which count as modified `now`.
    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError>;

    /// What [`Store::insert`] would find there already, in the order of `rows`; `None` where it would write. Writes
    /// nothing, and does not look for taken ids.
    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError>;

    /// Whether the database answers and has what Signal needs of it.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Applies the scripts in one transaction, in which the database is compared first: one that does not fit is left
    /// as it was. Safe to repeat, and safe when several do it at once.
    async fn migrate(&self, migration: Migration) -> Result<Vec<Warning>, StoreError>;

    async fn close(&self);
}

/// All that is asked of one database.
pub trait Database: Store + Inbox + Rows {}

impl<T: Store + Inbox + Rows> Database for T {}

/// A database for the URL, `postgres://…` or `sqlite://path`. Connects when first used, so that a database that is away
/// at start is no failure. To be called within a Tokio runtime.
pub fn open(url: &Secret) -> Result<Arc<dyn Database>, OpenError> {
    database_url::check(url.expose())?;
    match url.expose().split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(PostgresStore::open(url)?)),
        Some(("sqlite", _)) => Ok(Arc::new(SqliteStore::open(url)?)),
        _ => Err(OpenError::Scheme),
    }
}

/// The rows that were there already, by event and recipient.
type Known = HashMap<(String, String), Written>;

/// Says of each row what became of it. A row that was neither written nor there has met its id in another row.
fn outcomes(drafts: &[Draft], rows: &[NewRow], inserted: &HashSet<String>, known: &Known) -> Vec<Written> {
    rows.iter()
        .map(|row| {
            if inserted.contains(&row.id) {
                return Written::Inserted;
            }
            find(drafts, row, known).unwrap_or(Written::IdTaken)
        })
        .collect()
}

fn find(drafts: &[Draft], row: &NewRow, known: &Known) -> Option<Written> {
    known.get(&(drafts[row.draft].event_id.clone(), row.recipient_id.clone())).cloned()
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps and lists with string keys have a JSON form")
}

/// Columns that Signal writes. The rest of a row is what the table's defaults make it.
const WRITTEN_COLUMNS: [&str; 11] = [
    "id",
    "event_id",
    "type",
    "recipient_id",
    "organizer_id",
    "merchant_id",
    "title",
    "content",
    "metadata",
    "created_at",
    "modified_at",
];

/// Bounds a call of the pipeline's.
async fn bounded<T, F>(call: F, classify: fn(&dyn DatabaseError) -> Kind) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    within(STATEMENT_TIMEOUT, call, classify).await
}

/// Bounds a call, and sorts its failure into what can be done about it.
async fn within<T, F>(time: Duration, call: F, classify: fn(&dyn DatabaseError) -> Kind) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let error = match tokio::time::timeout(time, call).await {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(_) => return Err(StoreError::TimedOut),
    };
    Err(match &error {
        sqlx::Error::Database(database) => match classify(&**database) {
            Kind::Away => StoreError::Away(error),
            Kind::Schema => StoreError::Schema(error),
            Kind::Refused => StoreError::Refused { code: name(&**database) },
        },
        // What another writer has put there is there to stay.
        sqlx::Error::ColumnDecode { index, .. } => {
            StoreError::Refused { code: format!("the column {index} of the row that is there can't be read") }
        }
        _ => StoreError::Away(error),
    })
}

/// The code, and the constraint if there is one: what says most without a value.
fn name(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    match error.constraint() {
        Some(constraint) => format!("{code}, {constraint}"),
        None => code.into_owned(),
    }
}

/// What a failure says of the rows of the call. Only [`Kind::Refused`] makes dead letters of events: whatever may be over
/// one day is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Away,
    Schema,
    Refused,
}
