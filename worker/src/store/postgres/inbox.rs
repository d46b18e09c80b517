//! The inbox on Postgres.
//!
//! A statement's text says which filters it has, rather than ask whether a parameter is null: whatever plan Postgres
//! keeps for it is one over the index that the filters call for.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{PgPool, Postgres, QueryBuilder, Row, Transaction};
use time::OffsetDateTime;

use super::{PostgresStore, classify, stored_row};
use crate::store::{
    StoreError, StoredRow,
    inbox::{ANSWER_TIMEOUT, Gather, Inbox, MARK_ALL_TIMEOUT, Marked, Page, Place, Scope, Which, possible},
    within,
};

/// The first of an advisory lock's two keys, "read" in ASCII; a hash of the person is the second. Locks of one key,
/// such as that of migrations, are others.
const MARK_LOCK: i32 = 0x7265_6164;
/// Each statement sees what was committed before it, whatever the database's default is: a marking that has waited for
/// its lock counts with the one before it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

const FIND: &str = r#"
SELECT id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, read_at, created_at,
    modified_at
FROM "ActivityNotification"
WHERE id = $1 AND recipient_id = $2 AND deleted_at IS NULL"#;

const LOCK: &str = "SELECT pg_advisory_xact_lock($1, hashtext($2))";

const MARK_THESE: &str = r#"
UPDATE "ActivityNotification" SET read_at = $1, modified_at = $1
WHERE recipient_id = $2 AND id = ANY($3) AND read_at IS NULL AND deleted_at IS NULL
RETURNING id"#;

const MARK_ALL: &str = r#"
UPDATE "ActivityNotification" SET read_at = $1, modified_at = $1
WHERE recipient_id = $2 AND read_at IS NULL AND deleted_at IS NULL"#;

const MARK_BEFORE: &str = r#"
UPDATE "ActivityNotification" SET read_at = $1, modified_at = $1
WHERE recipient_id = $2 AND created_at < $3 AND read_at IS NULL AND deleted_at IS NULL"#;

// Transaction ids are given out in order. This one was given while the lock was held, and the lock is held until what
// was marked is visible, so that the ids of one person's markings grow in the order of their commits. No clock has a
// part in it, and a standby that takes over counts on from there.
const STANDING: &str = r#"
SELECT count(*), txid_current()
FROM "ActivityNotification"
WHERE recipient_id = $1 AND read_at IS NULL AND deleted_at IS NULL"#;

#[async_trait]
impl Inbox for PostgresStore {
    async fn page(&self, scope: Scope<'_>, after: Option<&Place>, limit: usize) -> Result<Page, StoreError> {
        let after = after.map(place).transpose()?;
        if scope.is_empty() {
            return Ok(Page::default());
        }
        within(ANSWER_TIMEOUT, page(&self.inbox, scope, after, limit), classify).await
    }

    async fn count(&self, scope: Scope<'_>) -> Result<u64, StoreError> {
        if scope.is_empty() {
            return Ok(0);
        }
        let mut query = QueryBuilder::<Postgres>::new(r#"SELECT count(*) FROM "ActivityNotification""#);
        filter(&mut query, scope);
        let count = async { query.build_query_scalar().fetch_one(&self.inbox).await };
        within(ANSWER_TIMEOUT, count, classify).await.map(whole)
    }

    async fn find(&self, recipient_id: &str, id: &str) -> Result<Option<StoredRow>, StoreError> {
        if [recipient_id, id].iter().any(|name| name.contains('\0')) {
            return Ok(None);
        }
        let find = async {
            let row = sqlx::query(FIND).bind(id).bind(recipient_id).fetch_optional(&self.inbox).await?;
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
        if recipient_id.contains('\0') {
            return Ok(None);
        }
        let time = match which {
            Which::These(_) => ANSWER_TIMEOUT,
            Which::All { .. } => MARK_ALL_TIMEOUT,
        };
        let mark = async {
            let _turn = self.turns.take(recipient_id).await;
            let mut transaction = self.inbox.begin_with(BEGIN).await?;
            sqlx::query(LOCK).bind(MARK_LOCK).bind(recipient_id).execute(&mut *transaction).await?;
            let (updated, ids) = update(&mut transaction, recipient_id, which, now).await?;
            if updated == 0 {
                return Ok(None);
            }
            let standing = sqlx::query_as(STANDING).bind(recipient_id).fetch_one(&mut *transaction).await?;
            let (unread, version): (i64, i64) = standing;
            transaction.commit().await?;
            Ok(Some(Marked { updated, ids, read_at: now, unread: whole(unread), version: whole(version) }))
        };
        within(time, mark, classify).await
    }
}

async fn page(
    pool: &PgPool,
    scope: Scope<'_>,
    after: Option<(OffsetDateTime, &str)>,
    limit: usize,
) -> Result<Page, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        r#"SELECT id, event_id, type, recipient_id, organizer_id, merchant_id, title, content, metadata, read_at,
            created_at, modified_at FROM "ActivityNotification""#,
    );
    filter(&mut query, scope);
    if let Some((created_at, id)) = after {
        // Both columns in the collation that the table gives them: the index has it, too.
        query.push(" AND (created_at, id) < (").push_bind(created_at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit as i64 + 1);
    let mut gather = Gather::new(limit);
    let query = query.build();
    let mut rows = query.fetch(pool);
    while let Some(row) = rows.try_next().await? {
        let created_at: OffsetDateTime = row.try_get("created_at")?;
        // What Postgres keeps: microseconds.
        let micros = created_at.unix_timestamp_nanos() / 1000;
        if !gather.add(stored_row(&row)?, micros.to_string()) {
            break;
        }
    }
    Ok(gather.page())
}

fn filter<'a>(query: &mut QueryBuilder<Postgres>, scope: Scope<'a>) {
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

/// Microseconds, and an id.
fn place(place: &Place) -> Result<(OffsetDateTime, &str), StoreError> {
    let micros: Option<i64> = place.created_at.parse().ok();
    let at = micros.and_then(|micros| OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).ok());
    let at = at.filter(|_| !place.id.contains('\0'));
    at.map(|at| (at, place.id.as_str())).ok_or_else(|| StoreError::Refused { code: "place".to_owned() })
}

/// How many, and of [`Which::These`] which.
async fn update(
    transaction: &mut Transaction<'_, Postgres>,
    recipient_id: &str,
    which: Which<'_>,
    now: OffsetDateTime,
) -> Result<(u64, Vec<String>), sqlx::Error> {
    let connection = &mut **transaction;
    let query = match which {
        Which::These(ids) => {
            let query = sqlx::query_scalar(MARK_THESE).bind(now).bind(recipient_id).bind(possible(ids));
            let ids: Vec<String> = query.fetch_all(connection).await?;
            return Ok((ids.len() as u64, ids));
        }
        Which::All { before: None } => sqlx::query(MARK_ALL).bind(now).bind(recipient_id),
        Which::All { before: Some(before) } => sqlx::query(MARK_BEFORE).bind(now).bind(recipient_id).bind(before),
    };
    Ok((query.execute(connection).await?.rows_affected(), Vec::new()))
}

/// Counts and transaction ids are never below zero.
fn whole(number: i64) -> u64 {
    number.unsigned_abs()
}
