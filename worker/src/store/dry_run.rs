//! A store that says what it would write and writes nothing: what a dry run puts in the place of its database.
//!
//! It remembers what it would have written, so that an event that comes twice counts once, as it would in earnest. What
//! it can't foresee is a row that the database refuses for its values.

use std::{
    collections::HashSet,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use time::OffsetDateTime;

use super::{Draft, Member, Migration, NewRow, Store, StoreError, StoredRow, Written};
use crate::migrate::compare::Warning;

/// Is told of each row that would be written.
type Told = Box<dyn Fn(&Draft, &NewRow) + Send + Sync>;

pub struct DryRun {
    store: Arc<dyn Store>,
    hasher: RandomState,
    /// Event and recipient of each row that would have been written, as a keyed hash: 8 bytes for each and the room of a table. Two rows of ten
    /// million share one with a probability of some 3 in a million.
    would_be: Mutex<HashSet<u64>>,
    told: Option<Told>,
}

impl DryRun {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, hasher: RandomState::new(), would_be: Mutex::default(), told: None }
    }

    /// The same, telling of each row that would be written.
    pub fn telling(store: Arc<dyn Store>, told: impl Fn(&Draft, &NewRow) + Send + Sync + 'static) -> Self {
        Self { told: Some(Box::new(told)), ..Self::new(store) }
    }

    /// Whether the row has not been asked for before.
    fn is_first(&self, draft: &Draft, row: &NewRow) -> bool {
        self.would_be.lock().insert(self.hasher.hash_one((&draft.event_id, &row.recipient_id)))
    }
}

#[async_trait]
impl Store for DryRun {
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.store.members(domains, after, limit).await
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        let existing = self.existing(drafts, rows).await?;
        let write = |(row, existing): (&NewRow, Option<Written>)| {
            let draft = &drafts[row.draft];
            if let Some(written) = existing {
                return written;
            }
            if !self.is_first(draft, row) {
                return Written::Existing(Box::new(as_if_stored(draft, row, now)));
            }
            if let Some(told) = &self.told {
                told(draft, row);
            }
            Written::Inserted
        };
        Ok(rows.iter().zip(existing).map(write).collect())
    }

    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError> {
        self.store.existing(drafts, rows).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Is refused.
    async fn migrate(&self, _migration: Migration) -> Result<Vec<Warning>, StoreError> {
        Err(StoreError::Refused { code: "dry run".to_owned() })
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

impl fmt::Debug for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DryRun").field(&self.store).finish()
    }
}

fn as_if_stored(draft: &Draft, row: &NewRow, now: OffsetDateTime) -> StoredRow {
    StoredRow {
        id: row.id.clone(),
        draft: draft.clone(),
        recipient_id: row.recipient_id.clone(),
        read_at: None,
        created_at: row.created_at,
        modified_at: now,
    }
}
