//! A store that counts, can be away, can refuse to look up a scope, and can give the first row of a call an id of the
//! test's choosing.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use signal_worker::migrate::compare::Warning;
use signal_worker::store::{Draft, Member, Migration, NewRow, Store, StoreError, Written};
use time::OffsetDateTime;

#[derive(Debug)]
pub(crate) struct Interposed {
    store: Arc<dyn Store>,
    away: Mutex<bool>,
    first_id: Mutex<Option<String>>,
    refused_scope: Mutex<Option<String>>,
    lookups: AtomicUsize,
    inserts: AtomicUsize,
}

impl Interposed {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let (away, first_id, refused_scope) = (Mutex::new(false), Mutex::new(None), Mutex::new(None));
        let (lookups, inserts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { store, away, first_id, refused_scope, lookups, inserts }
    }

    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock() = away;
    }

    pub(crate) fn force_first_id(&self, id: String) {
        *self.first_id.lock() = Some(id);
    }

    pub(crate) fn refuse_scope(&self, domain: &str) {
        *self.refused_scope.lock() = Some(domain.to_owned());
    }

    pub(crate) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }

    /// Attempts, the failed ones too.
    pub(crate) fn inserts(&self) -> usize {
        self.inserts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Interposed {
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        if self.refused_scope.lock().as_ref().is_some_and(|refused| domains.contains(refused)) {
            return Err(StoreError::Refused { code: "22P05".to_owned() });
        }
        self.store.members(domains, after, limit).await
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        self.inserts.fetch_add(1, Ordering::SeqCst);
        if *self.away.lock() {
            return Err(StoreError::TimedOut);
        }
        let mut rows = rows.to_vec();
        if let Some(id) = self.first_id.lock().take() {
            rows[0].id = id;
        }
        self.store.insert(drafts, &rows, now).await
    }

    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError> {
        if *self.away.lock() { Err(StoreError::TimedOut) } else { self.store.existing(drafts, rows).await }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if *self.away.lock() { Err(StoreError::TimedOut) } else { self.store.ping().await }
    }

    async fn migrate(&self, migration: Migration) -> Result<Vec<Warning>, StoreError> {
        self.store.migrate(migration).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
