//! A store that waits for its database: what the pipeline writes through.
//!
//! While the database is away a call is made again, with growing pauses, until it is answered or the worker stops.
//! The caller stands still meanwhile, so nothing is skipped and nothing piles up.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use signal_service::health::Component;
use signal_wire::backoff::Backoff;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Draft, Member, Migration, NewRow, Store, StoreError, Written};
use crate::metrics;

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

#[derive(Debug)]
pub struct Patient {
    store: Arc<dyn Store>,
    health: Component,
    stop: CancellationToken,
}

impl Patient {
    /// `health` reports on the database; `stop` ends the waiting, not a call that is being answered.
    pub fn new(store: Arc<dyn Store>, health: Component, stop: CancellationToken) -> Self {
        Self { store, health, stop }
    }

    /// Returns when the call may be made again.
    async fn pause(&self, attempt: u32, error: StoreError) -> Result<(), StoreError> {
        if matches!(error, StoreError::Refused { .. }) {
            return Err(error);
        }
        self.health.down(error.to_string());
        metrics::store_retry();
        tokio::select! {
            () = self.stop.cancelled() => Err(StoreError::Stopped),
            () = tokio::time::sleep(BACKOFF.delay(attempt, getrandom::u32().unwrap_or(u32::MAX))) => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Patient {
    async fn members(
        &self,
        domains: &[String],
        after: Option<&Member>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let mut attempt = 0;
        loop {
            match self.store.members(domains, after, limit).await {
                Ok(members) => {
                    self.health.up();
                    return Ok(members);
                }
                Err(error) => self.pause(attempt, error).await?,
            }
            attempt += 1;
        }
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        let mut attempt = 0;
        loop {
            match self.store.insert(drafts, rows, now).await {
                Ok(written) => {
                    self.health.up();
                    return Ok(written);
                }
                Err(error) => self.pause(attempt, error).await?,
            }
            attempt += 1;
        }
    }

    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError> {
        let mut attempt = 0;
        loop {
            match self.store.existing(drafts, rows).await {
                Ok(existing) => {
                    self.health.up();
                    return Ok(existing);
                }
                Err(error) => self.pause(attempt, error).await?,
            }
            attempt += 1;
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn migrate(&self, migration: Migration) -> Result<(), StoreError> {
        self.store.migrate(migration).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
