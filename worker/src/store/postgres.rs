//! The store on Postgres.

mod failure;
mod inbox;
mod rows;
mod schema;
mod session;

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};
use signal_service::Secret;
use sqlx::{PgConnection, PgPool, Postgres, Row, Transaction, postgres::PgRow, raw_sql, types::Json};
use time::OffsetDateTime;

use self::{failure::classify, session::Pool};
use super::{
    Draft, Known, Member, Migration, NewRow, OpenError, SEEDS, STATEMENT_TIMEOUT, Store, StoreError, StoredRow,
    Written, bounded, find,
    inbox::{CONNECT_TIMEOUT, MARK_ALL_TIMEOUT, Turns},
    outcomes, to_json,
};
use crate::migrate::compare::{Unfit, Warning, compare};

const CORE_SCHEMA: &str = include_str!("../../../migrations/core/0001_reference.sql");

/// The key of the advisory lock under which scripts are applied: "signal" in ASCII.
const MIGRATION_LOCK: i64 = 0x0073_6967_6e61_6c00;
/// The pipeline needs one, the watch over the database another.
const MAX_CONNECTIONS: u32 = 4;
/// The notification API's own, so that however much is asked rows are written meanwhile.
const INBOX_CONNECTIONS: u32 = 8;
/// People whose markings can be under way at once, unless two of them share a turn.
const TURNS: usize = 256;

const MEMBERS: &str = r#"
SELECT DISTINCT domain, subject_id
FROM "PolicyDefinition"
WHERE variant = 'group' AND subject_type = 'User' AND target_type = 'Role' AND deleted_at IS NULL
    AND domain = ANY($1) AND (domain, subject_id) > ($2, $3)
ORDER BY domain, subject_id
LIMIT $4"#;

// Each draft crosses the wire once, however many recipients it has. The conflict has no target, so that a taken id
// is passed over like a known event instead of aborting the transaction; `insert` tells the two apart afterwards.
const INSERT: &str = r#"
INSERT INTO "ActivityNotification"
    (id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, created_at, modified_at)
SELECT r.id, d.event_id, d.type, r.recipient_id, d.organizer_id, d.merchant_id, d.title, d.content,
    d.metadata::jsonb, r.created_at, $11
FROM UNNEST($1::text[], $2::int8[], $3::text[], $12::timestamptz[]) AS r (id, draft, recipient_id, created_at)
JOIN UNNEST($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]) WITH ORDINALITY
    AS d (event_id, type, organizer_id, merchant_id, title, content, metadata, ordinal) ON d.ordinal = r.draft
ON CONFLICT DO NOTHING
RETURNING id"#;

const EXISTING: &str = r#"
SELECT id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, read_at, created_at,
    modified_at, deleted_at
FROM "ActivityNotification"
JOIN UNNEST($1::text[], $2::text[]) AS wanted (event_id, recipient_id) USING (event_id, recipient_id)"#;

#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    inbox: PgPool,
    turns: Turns,
}

impl PostgresStore {
    pub fn open(url: &Secret) -> Result<Self, OpenError> {
        let options = session::options(url.expose())?;
        let pool = Pool {
            connections: MAX_CONNECTIONS,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: STATEMENT_TIMEOUT,
        };
        let inbox = Pool {
            connections: INBOX_CONNECTIONS,
            connect_timeout: CONNECT_TIMEOUT,
            statement_timeout: MARK_ALL_TIMEOUT,
        };
        let (pool, inbox) = (pool.open(options.clone()), inbox.open(options));
        Ok(Self { pool, inbox, turns: Turns::new(TURNS) })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let (domain, user_id) = after.map_or(("", ""), |member| (&member.domain, &member.user_id));
        let query = sqlx::query_as(MEMBERS).bind(domains).bind(domain).bind(user_id).bind(limit as i64);
        let members: Vec<(String, String)> = bounded(query.fetch_all(&self.pool), classify).await?;
        Ok(members.into_iter().map(|(domain, user_id)| Member { domain, user_id }).collect())
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        let write = async {
            let mut transaction = self.pool.begin().await?;
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
        Ok(bounded(self.apply(migration), classify).await??)
    }

    async fn close(&self) {
        tokio::join!(self.pool.close(), self.inbox.close());
    }
}

impl PostgresStore {
    async fn apply(&self, migration: Migration) -> Result<Result<Vec<Warning>, Unfit>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        if migration != Migration::Check {
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *transaction).await?;
        }
        // Leaving early drops the transaction, which takes back whatever was done in it.
        if migration == Migration::CoreSchemaAndSeed {
            let there = compare(&schema::read(&mut transaction).await?).of_what_is_there();
            if let Err(unfit) = there.verdict() {
                return Ok(Err(unfit));
            }
            raw_sql(CORE_SCHEMA).execute(&mut *transaction).await?;
        }
        let verdict = compare(&schema::read(&mut transaction).await?).verdict();
        if verdict.is_err() || migration == Migration::Check {
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
    transaction: &mut Transaction<'_, Postgres>,
    drafts: &[Draft],
    rows: &[NewRow],
    now: OffsetDateTime,
) -> Result<HashSet<String>, sqlx::Error> {
    fn column<'a, S, T>(items: &'a [S], of: impl FnMut(&'a S) -> T) -> Vec<T> {
        items.iter().map(of).collect()
    }
    let inserted: Vec<String> = sqlx::query_scalar(INSERT)
        .bind(column(rows, |row| row.id.as_str()))
        .bind(column(rows, |row| row.draft as i64 + 1))
        .bind(column(rows, |row| row.recipient_id.as_str()))
        .bind(column(drafts, |draft| draft.event_id.as_str()))
        .bind(column(drafts, |draft| draft.kind.as_str()))
        .bind(column(drafts, |draft| draft.organizer_id.as_deref()))
        .bind(column(drafts, |draft| draft.merchant_id.as_deref()))
        .bind(column(drafts, |draft| draft.title.as_str()))
        .bind(column(drafts, |draft| draft.content.as_str()))
        .bind(column(drafts, |draft| to_json(&draft.metadata)))
        .bind(now)
        .bind(column(rows, |row| row.created_at))
        .fetch_all(&mut **transaction)
        .await?;
    Ok(inserted.into_iter().collect())
}

async fn existing(connection: &mut PgConnection, drafts: &[Draft], rows: &[&NewRow]) -> Result<Known, sqlx::Error> {
    let (events, recipients): (Vec<&str>, Vec<&str>) =
        rows.iter().map(|row| (drafts[row.draft].event_id.as_str(), row.recipient_id.as_str())).unzip();
    let found = sqlx::query(EXISTING).bind(events).bind(recipients).fetch_all(connection).await?;
    found
        .iter()
        .map(|row| {
            let stored = stored_row(row)?;
            let key = (stored.draft.event_id.clone(), stored.recipient_id.clone());
            let deleted: Option<OffsetDateTime> = row.try_get("deleted_at")?;
            Ok((key, if deleted.is_some() { Written::Deleted } else { Written::Existing(Box::new(stored)) }))
        })
        .collect()
}

fn stored_row(row: &PgRow) -> Result<StoredRow, sqlx::Error> {
    // Other writers may have left metadata empty or put something other than an object there.
    let metadata: Option<Json<Value>> = row.try_get("metadata")?;
    Ok(StoredRow {
        id: row.try_get("id")?,
        draft: Draft {
            event_id: row.try_get("event_id")?,
            kind: row.try_get("type")?,
            organizer_id: row.try_get("organizer_id")?,
            merchant_id: row.try_get("merchant_id")?,
            title: row.try_get("title")?,
            content: row.try_get("content")?,
            metadata: match metadata {
                Some(Json(Value::Object(metadata))) => metadata,
                _ => Map::new(),
            },
        },
        recipient_id: row.try_get("recipient_id")?,
        read_at: row.try_get("read_at")?,
        created_at: row.try_get("created_at")?,
        modified_at: row.try_get("modified_at")?,
    })
}
