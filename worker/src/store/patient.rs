//! A store that waits for its database: what the pipeline writes through.
//!
//! While the database is away a call is made again, with growing pauses, until it is answered or the worker stops.
//! The caller stands still meanwhile, so nothing is skipped and nothing piles up. A database that does not fit is waited
//! for like one that is away: what is written without the right keys would be doubled, and what lacks a column that
//! others made mandatory would be set aside row by row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use signal_service::health::Component;
use signal_wire::backoff::Backoff;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Draft, Member, Migration, NewRow, Store, StoreError, Written};
use crate::{metrics, migrate::compare::Warning};

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

#[derive(Debug)]
pub struct Patient {
    store: Arc<dyn Store>,
    health: Component,
    stop: CancellationToken,
    /// Whether the database was compared with what Signal needs, and fitted, at the last look.
    fits: AtomicBool,
}

impl Patient {
    /// `health` reports on the database; `stop` ends the waiting, not a call that is being answered.
    pub fn new(store: Arc<dyn Store>, health: Component, stop: CancellationToken) -> Self {
        Self { store, health, stop, fits: AtomicBool::new(false) }
    }

    /// Returns once the database fits, which is asked unless a ping has said so before.
    async fn fits(&self) -> Result<(), StoreError> {
        let mut attempt = 0;
        while !self.fits.load(Ordering::Relaxed) {
            match self.ping().await {
                Ok(()) => self.health.up(),
                Err(error) => self.pause(attempt, &error).await?,
            }
            attempt += 1;
        }
        Ok(())
    }

    /// Calls until there is an answer. A refusal is one if the database fitted before and after the call: else it may be
    /// the table that is to blame, and not the row.
    async fn answered<T, F>(&self, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.fits().await?;
        let (mut attempt, mut fitted) = (0, false);
        loop {
            let error = match call().await {
                Ok(answer) => {
                    // Takes back what a failed attempt said of the database, and no more: whether it still fits is the
                    // watch's to say.
                    if attempt > 0 {
                        self.health.up();
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            match error {
                StoreError::Refused { .. } => match self.store.ping().await {
                    Ok(()) if fitted => return Err(error),
                    Ok(()) => fitted = true,
                    Err(unfit) => {
                        fitted = false;
                        self.pause(attempt, &unfit).await?;
                    }
                },
                // Compared, the database says it all, and in words for whoever has to mend it.
                StoreError::Schema(_) => {
                    let told = self.store.ping().await.err().unwrap_or(error);
                    self.pause(attempt, &told).await?;
                }
                error => self.pause(attempt, &error).await?,
            }
            attempt += 1;
        }
    }

    /// Returns when the call may be made again.
    async fn pause(&self, attempt: u32, error: &StoreError) -> Result<(), StoreError> {
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
        self.answered(|| self.store.members(domains, after, limit)).await
    }

    async fn insert(&self, drafts: &[Draft], rows: &[NewRow], now: OffsetDateTime) -> Result<Vec<Written>, StoreError> {
        self.answered(|| self.store.insert(drafts, rows, now)).await
    }

    async fn existing(&self, drafts: &[Draft], rows: &[NewRow]) -> Result<Vec<Option<Written>>, StoreError> {
        self.answered(|| self.store.existing(drafts, rows)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.store.ping().await;
        match &answer {
            Ok(()) => self.fits.store(true, Ordering::Relaxed),
            // Without the right keys nothing would fail, and rows would be doubled.
            Err(StoreError::Unfit(_) | StoreError::Schema(_)) => self.fits.store(false, Ordering::Relaxed),
            // It is away, which says nothing of its tables.
            Err(_) => {}
        }
        answer
    }

    async fn migrate(&self, migration: Migration) -> Result<Vec<Warning>, StoreError> {
        self.store.migrate(migration).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
