//! The rows of one event, on SQLite.

use async_trait::async_trait;
use sqlx::Row;

use super::{SqliteStore, classify, not_a_time, optional_time};
use crate::store::{
    StoreError, bounded,
    rows::{EventCounts, EventRow, Rows},
};

const COUNTS: &str = r#"
SELECT count(*), count(read_at), count(deleted_at)
FROM "ActivityNotification"
WHERE event_id = ?1"#;

const ROWS: &str = r#"
SELECT id, recipient_id, created_at, read_at, deleted_at
FROM "ActivityNotification"
WHERE event_id = ?1 AND recipient_id > ?2
ORDER BY recipient_id
LIMIT ?3"#;

#[async_trait]
impl Rows for SqliteStore {
    async fn count_of(&self, event_id: &str) -> Result<EventCounts, StoreError> {
        let query = sqlx::query_as(COUNTS).bind(event_id);
        let (rows, read, deleted): (i64, i64, i64) = bounded(query.fetch_one(&self.pool), classify).await?;
        Ok(EventCounts { rows: rows.unsigned_abs(), read: read.unsigned_abs(), deleted: deleted.unsigned_abs() })
    }

    async fn rows_of(&self, event_id: &str, after: &str, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        let read = async {
            let found = sqlx::query(ROWS).bind(event_id).bind(after).bind(limit as i64).fetch_all(&self.pool).await?;
            let row = |row: &sqlx::sqlite::SqliteRow| {
                Ok(EventRow {
                    id: row.try_get("id")?,
                    recipient_id: row.try_get("recipient_id")?,
                    created_at: optional_time(row, "created_at")?.ok_or_else(|| not_a_time("created_at"))?,
                    read_at: optional_time(row, "read_at")?,
                    deleted_at: optional_time(row, "deleted_at")?,
                })
            };
            found.iter().map(row).collect()
        };
        bounded(read, classify).await
    }
}
