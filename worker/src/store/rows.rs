//! The rows of one event, for whoever asks what became of it.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::StoreError;

/// One person's row of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub id: String,
    pub recipient_id: String,
    pub created_at: OffsetDateTime,
    pub read_at: Option<OffsetDateTime>,
    pub deleted_at: Option<OffsetDateTime>,
}

/// How many rows an event has, deleted ones among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    pub rows: u64,
    pub read: u64,
    pub deleted: u64,
}

#[async_trait]
pub trait Rows: fmt::Debug + Send + Sync {
    async fn count_of(&self, event_id: &str) -> Result<EventCounts, StoreError>;

    /// In the order of recipients, in the database's own order; up to `limit`, beginning behind `after`.
    async fn rows_of(&self, event_id: &str, after: &str, limit: usize) -> Result<Vec<EventRow>, StoreError>;
}
