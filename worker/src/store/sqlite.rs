//! The store on SQLite: the embedded default, one file, no server.
//!
//! Lists cross into a statement as one JSON parameter, so that a statement's text, and with it its cached plan, does
//! not depend on how many rows it has.

mod failure;
mod inbox;
mod rows;
mod schema;

use std::{collections::HashSet, str::FromStr, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use signal_service::Secret;
use signal_wire::timestamp;
use sqlx::{
    ConnectOptions, Connection, Row, Sqlite, SqliteConnection, SqlitePool, Transaction, raw_sql,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use self::failure::classify;
use super::{
    Draft, Known, Member, Migration, NewRow, OpenError, SEEDS, Store, StoreError, StoredRow, Written, bounded, find,
    inbox::Turns, outcomes, to_json,
};
use crate::migrate::compare::{Unfit, Warning, compare};

const CORE_SCHEMA: &str = include_str!("../../../migrations/core/sqlite/0001_reference.sql");

const MAX_CONNECTIONS: u32 = 4;
/// A deferred transaction that turns into a writer fails at once when another writes; an immediate one waits.
const BEGIN: &str = "BEGIN IMMEDIATE";
/// How long to wait for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

const MEMBERS: &str = r#"
SELECT DISTINCT domain, subject_id
FROM "PolicyDefinition"
WHERE variant = 'group' AND subject_type = 'User' AND target_type = 'Role' AND deleted_at IS NULL
    AND domain IN (SELECT value FROM json_each(?1)) AND (domain, subject_id) > (?2, ?3)
ORDER BY domain, subject_id
LIMIT ?4"#;

const INSERT: &str = r#"
INSERT INTO "ActivityNotification"
    (id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, created_at, modified_at)
SELECT r.value ->> 0, d.value ->> 'eventId', d.value ->> 'type', r.value ->> 2, d.value ->> 'organizerId',
    d.value ->> 'merchantId', d.value ->> 'title', d.value ->> 'content', d.value ->> 'metadata', r.value ->> 3, ?3
FROM json_each(?1) AS r
JOIN json_each(?2) AS d ON d.key = r.value ->> 1
WHERE true
ON CONFLICT DO NOTHING
RETURNING id"#;

// `json_each` has columns `id` and `type` of its own.
const EXISTING: &str = r#"
SELECT n.id, n.event_id, n.type, n.recipient_id, n.organizer_id, n.merchant_id, n.title, n.content, n.metadata,
    n.read_at, n.created_at, n.modified_at, n.deleted_at
FROM json_each(?1) AS wanted
CROSS JOIN "ActivityNotification" AS n
WHERE n.event_id = wanted.value ->> 0 AND n.recipient_id = wanted.value ->> 1"#;

#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    /// A file has one writer at a time.
    turn: Turns,
    versions: inbox::Versions,
}

impl SqliteStore {
    pub fn open(url: &Secret) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(OpenError::Url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Ok(Self { pool, turn: Turns::new(1), versions: inbox::Versions::default() })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let (domain, user_id) = after.map_or(("", ""), |member| (&member.domain, &member.user_id));
        let query = sqlx::query_as(MEMBERS).bind(to_json(&domains)).bind(domain).bind(user_id).bind(limit as i64);
        let members: Vec<(String, String)> = bounded(query.fetch_all(&self.pool), classify).await?;
        Ok(members.into_iter().map(|(domain, user_id)| Member { domain, user_id }).collect())
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        let write = async {
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let inserted = insert(&mut transaction, drafts, rows, now).await?;
            let missing: Vec<_> = rows.iter().filter(|row| !inserted.contains(&row.id)).collect();
            let known = match missing.as_slice() {
                [] => Known::new(),
                missing => existing(&mut transaction, drafts, missing).await?,
            };
            transaction.commit().await?;
            Ok(outcomes(drafts, rows, &inserted, &known))
        };
        bounded(write, classify).await
    }

    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError> {
        let wanted: Vec<_> = rows.iter().collect();
        let look = async { existing(&mut *self.pool.acquire().await?, drafts, &wanted).await };
        let known = bounded(look, classify).await?;
        Ok(rows.iter().map(|row| find(drafts, row, &known)).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let found = async { schema::read(&mut *self.pool.acquire().await?).await };
        compare(&bounded(found, classify).await?).verdict()?;
        Ok(())
    }

    async fn migrate(&self, migration: Migration) -> Result<Vec<Warning>, StoreError> {
        if migration == Migration::Check {
            return self.check().await;
        }
        // A new file becomes one with a write-ahead log when it is first opened, and whoever opens it just then is
        // told that it is locked without having waited (sqlite.org/wal.html, "Sometimes queries return SQLITE_BUSY").
        let deadline = Instant::now() + BUSY_TIMEOUT;
        loop {
            match bounded(self.apply(migration), classify).await {
                Err(StoreError::Away(_)) if Instant::now() < deadline => sleep(BUSY_PAUSE).await,
                result => return Ok(result??),
            }
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

impl SqliteStore {
    async fn check(&self) -> Result<Vec<Warning>, StoreError> {
        let found = async {
            let options = SqliteConnectOptions::clone(&self.pool.connect_options()).create_if_missing(false);
            let mut connection = options.connect().await?;
            let found = schema::read(&mut connection).await;
            connection.close().await?;
            found
        };
        Ok(compare(&bounded(found, classify).await?).verdict()?)
    }

    async fn apply(&self, migration: Migration) -> Result<Result<Vec<Warning>, Unfit>, sqlx::Error> {
        let mut transaction = self.pool.begin_with(BEGIN).await?;
        // Leaving early drops the transaction, which takes back whatever was done in it.
        if migration == Migration::CoreSchemaAndSeed {
            let there = compare(&schema::read(&mut transaction).await?).of_what_is_there();
            if let Err(unfit) = there.verdict() {
                return Ok(Err(unfit));
            }
            raw_sql(CORE_SCHEMA).execute(&mut *transaction).await?;
        }
        let verdict = compare(&schema::read(&mut transaction).await?).verdict();
        if verdict.is_err() {
            return Ok(verdict);
        }
        for seed in SEEDS {
            raw_sql(seed).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(verdict)
    }
}

/// The ids that were written.
async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    drafts: &[Draft],
    rows: &[NewRow],
    now: OffsetDateTime,
) -> Result<HashSet<String>, sqlx::Error> {
    let rows: Vec<_> =
        rows.iter().map(|row| (&row.id, row.draft, &row.recipient_id, timestamp::format(row.created_at))).collect();
    let drafts: Vec<_> = drafts
        .iter()
        .map(|draft| {
            json!({
                "eventId": draft.event_id, "type": draft.kind, "organizerId": draft.organizer_id,
                "merchantId": draft.merchant_id, "title": draft.title, "content": draft.content,
                "metadata": draft.metadata,
            })
        })
        .collect();
    let inserted: Vec<String> = sqlx::query_scalar(INSERT)
        .bind(to_json(&rows))
        .bind(to_json(&drafts))
        .bind(timestamp::format(now))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(inserted.into_iter().collect())
}

async fn existing(connection: &mut SqliteConnection, drafts: &[Draft], rows: &[&NewRow]) -> Result<Known, sqlx::Error> {
    let wanted: Vec<_> = rows.iter().map(|row| (&drafts[row.draft].event_id, &row.recipient_id)).collect();
    let found = sqlx::query(EXISTING).bind(to_json(&wanted)).fetch_all(connection).await?;
    found
        .iter()
        .map(|row| {
            let stored = stored_row(row)?;
            let key = (stored.draft.event_id.clone(), stored.recipient_id.clone());
            let deleted = optional_time(row, "deleted_at")?;
            Ok((key, if deleted.is_some() { Written::Deleted } else { Written::Existing(Box::new(stored)) }))
        })
        .collect()
}

fn stored_row(row: &SqliteRow) -> Result<StoredRow, sqlx::Error> {
    let metadata: Option<String> = row.try_get("metadata")?;
    Ok(StoredRow {
        id: row.try_get("id")?,
        draft: Draft {
            event_id: row.try_get("event_id")?,
            kind: row.try_get("type")?,
            organizer_id: row.try_get("organizer_id")?,
            merchant_id: row.try_get("merchant_id")?,
            title: row.try_get("title")?,
            content: row.try_get("content")?,
            metadata: match metadata.map(|text| serde_json::from_str(&text)) {
                Some(Ok(Value::Object(metadata))) => metadata,
                _ => Map::new(),
            },
        },
        recipient_id: row.try_get("recipient_id")?,
        read_at: optional_time(row, "read_at")?,
        created_at: optional_time(row, "created_at")?.ok_or_else(|| not_a_time("created_at"))?,
        modified_at: optional_time(row, "modified_at")?.ok_or_else(|| not_a_time("modified_at"))?,
    })
}

fn optional_time(row: &SqliteRow, column: &str) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| timestamp::parse(&text).ok_or_else(|| not_a_time(column))).transpose()
}

fn not_a_time(column: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: "not an RFC 3339 time".into() }
}
