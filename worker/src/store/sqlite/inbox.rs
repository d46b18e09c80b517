//! The inbox on SQLite.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use signal_wire::timestamp;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, Transaction};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::{BEGIN, SqliteStore, classify, stored_row};
use crate::store::{
    StoreError, StoredRow,
    inbox::{ANSWER_TIMEOUT, Gather, Inbox, MARK_ALL_TIMEOUT, Marked, Page, Place, Scope, Which, possible},
    to_json, within,
};

const FIND: &str = r#"
SELECT id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, read_at, created_at,
    modified_at
FROM "ActivityNotification"
WHERE id = ?1 AND recipient_id = ?2 AND deleted_at IS NULL"#;

const MARK_THESE: &str = r#"
UPDATE "ActivityNotification" SET read_at = ?1, modified_at = ?1
WHERE recipient_id = ?2 AND id IN (SELECT value FROM json_each(?3)) AND read_at IS NULL AND deleted_at IS NULL
RETURNING id"#;

const MARK_ALL: &str = r#"
UPDATE "ActivityNotification" SET read_at = ?1, modified_at = ?1
WHERE recipient_id = ?2 AND read_at IS NULL AND deleted_at IS NULL"#;

const MARK_BEFORE: &str = r#"
UPDATE "ActivityNotification" SET read_at = ?1, modified_at = ?1
WHERE recipient_id = ?2 AND created_at < ?3 AND read_at IS NULL AND deleted_at IS NULL"#;

const UNREAD: &str = r#"
SELECT count(*)
FROM "ActivityNotification"
WHERE recipient_id = ?1 AND read_at IS NULL AND deleted_at IS NULL"#;

const LATEST: &str = r#"
SELECT max(modified_at)
FROM "ActivityNotification"
WHERE recipient_id = ?1 AND deleted_at IS NULL"#;

/// A marking's version is its `read_at` in milliseconds since 1970. SQLite shows no counter of its own, and a table or a
/// pragma would be the core's to have, so this is made to grow: it is above every version that this process has given,
/// and above every `modified_at` of the person, in which other processes and former ones have left theirs. A clock that
/// goes back changes nothing about that. It is asked within the write transaction, of which a file has one at a time.
#[derive(Debug, Default)]
pub(super) struct Versions(Mutex<i64>);

impl Versions {
    fn next(&self, now: OffsetDateTime, latest: Option<OffsetDateTime>) -> OffsetDateTime {
        let mut last = self.0.lock();
        let above = latest.map_or(0, unix_ms).max(*last) + 1;
        *last = unix_ms(now).max(above);
        at(*last)
    }
}

#[async_trait]
impl Inbox for SqliteStore {
    async fn page(&self, scope: Scope<'_>, after: Option<&Place>, limit: usize) -> Result<Page, StoreError> {
        if after.is_some_and(|after| timestamp::parse(&after.created_at).is_none()) {
            return Err(StoreError::Refused { code: "place".to_owned() });
        }
        if scope.is_empty() {
            return Ok(Page::default());
        }
        within(ANSWER_TIMEOUT, page(&self.pool, scope, after, limit), classify).await
    }

    async fn count(&self, scope: Scope<'_>) -> Result<u64, StoreError> {
        if scope.is_empty() {
            return Ok(0);
        }
        let mut query = QueryBuilder::<Sqlite>::new(r#"SELECT count(*) FROM "ActivityNotification""#);
        filter(&mut query, scope);
        let count = async { query.build_query_scalar().fetch_one(&self.pool).await };
        within(ANSWER_TIMEOUT, count, classify).await.map(whole)
    }

    async fn find(&self, recipient_id: &str, id: &str) -> Result<Option<StoredRow>, StoreError> {
        let find = async {
            let row = sqlx::query(FIND).bind(id).bind(recipient_id).fetch_optional(&self.pool).await?;
            row.as_ref().map(stored_row).transpose()
        };
        within(ANSWER_TIMEOUT, find, classify).await
    }

    async fn mark(
        &self,
        recipient_id: &str,
        which: Which<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Marked>, StoreError> {
        let time = match which {
            Which::These(_) => ANSWER_TIMEOUT,
            Which::All { .. } => MARK_ALL_TIMEOUT,
        };
        let mark = async {
            let _turn = self.turn.take(recipient_id).await;
            let mut transaction = self.pool.begin_with(BEGIN).await?;
            let latest: Option<String> =
                sqlx::query_scalar(LATEST).bind(recipient_id).fetch_one(&mut *transaction).await?;
            let read_at = self.versions.next(now, latest.as_deref().and_then(timestamp::parse));
            let (updated, ids) = update(&mut transaction, recipient_id, which, read_at).await?;
            if updated == 0 {
                return Ok(None);
            }
            let unread = sqlx::query_scalar(UNREAD).bind(recipient_id).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(Some(Marked { updated, ids, read_at, unread: whole(unread), version: whole(unix_ms(read_at)) }))
        };
        within(time, mark, classify).await
    }
}

async fn page(pool: &SqlitePool, scope: Scope<'_>, after: Option<&Place>, limit: usize) -> Result<Page, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        r#"SELECT id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, read_at,
            created_at, modified_at FROM "ActivityNotification""#,
    );
    filter(&mut query, scope);
    if let Some(Place { created_at, id }) = after {
        query.push(" AND (created_at, id) < (").push_bind(created_at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit as i64 + 1);
    let mut gather = Gather::new(limit);
    let query = query.build();
    let mut rows = query.fetch(pool);
    while let Some(row) = rows.try_next().await? {
        // The text as it stands there, by which the index has its order.
        let created_at: String = row.try_get("created_at")?;
        if !gather.add(stored_row(&row)?, created_at) {
            break;
        }
    }
    Ok(gather.page())
}

fn filter<'a>(query: &mut QueryBuilder<Sqlite>, scope: Scope<'a>) {
    query.push(" WHERE recipient_id = ").push_bind(scope.recipient_id).push(" AND deleted_at IS NULL");
    match scope.unread {
        Some(true) => drop(query.push(" AND read_at IS NULL")),
        Some(false) => drop(query.push(" AND read_at IS NOT NULL")),
        None => {}
    }
    if let Some(kind) = scope.kind {
        query.push(" AND type = ").push_bind(kind);
    }
}

/// How many, and of [`Which::These`] which.
async fn update(
    transaction: &mut Transaction<'_, Sqlite>,
    recipient_id: &str,
    which: Which<'_>,
    read_at: OffsetDateTime,
) -> Result<(u64, Vec<String>), sqlx::Error> {
    let connection = &mut **transaction;
    let read_at = timestamp::format(read_at);
    let query = match which {
        Which::These(ids) => {
            let query = sqlx::query_scalar(MARK_THESE).bind(read_at).bind(recipient_id).bind(to_json(&possible(ids)));
            let ids: Vec<String> = query.fetch_all(connection).await?;
            return Ok((ids.len() as u64, ids));
        }
        Which::All { before: None } => sqlx::query(MARK_ALL).bind(read_at).bind(recipient_id),
        Which::All { before: Some(before) } => {
            sqlx::query(MARK_BEFORE).bind(read_at).bind(recipient_id).bind(timestamp::format(before))
        }
    };
    Ok((query.execute(connection).await?.rows_affected(), Vec::new()))
}

fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).expect("ten thousand years are few milliseconds")
}

fn at(unix_ms: i64) -> OffsetDateTime {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    at.unwrap_or_else(|_| PrimitiveDateTime::MAX.assume_utc())
}

/// Counts and times of this century are never below zero.
fn whole(number: i64) -> u64 {
    number.unsigned_abs()
}
