//! The order of the steps: decode, resolve, compose, persist, publish, and what is left over into dead letters. Nothing
//! else orders them, and what it is fed from does not matter here.
//!
//! A batch is one transaction as long as it has at most [`CHUNK`] rows. A larger audience is written and pushed in
//! chunks of that size, each in a transaction of its own: a crash in between leaves rows that the redelivered batch
//! finds and pushes again. While one chunk is written the one before it is pushed; pushes keep the order of records.

use std::{sync::Arc, time::Instant};

use signal_wire::activity::ActivityEvent;

use crate::{
    compose,
    dead_letters::{DeadLetters, Stopped},
    metrics,
    persist::{Copy, Persisted, Persister},
    publish::{Publisher, Push},
    record::{Position, Record},
    rejection::{Rejected, Rejection},
    resolve::{self, Audience, Directory, Domains, Limits, Recipients},
    store::{Draft, Store, StoreError},
};

/// Rows of one transaction. Also bounds what of an audience is in memory.
pub const CHUNK: usize = 4096;

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub inserted: u64,
    pub existing: u64,
    pub deleted: u64,
    pub rejected: Vec<Rejected>,
}

/// What the steps work with.
#[derive(Debug)]
pub struct Pipeline {
    /// Best one that waits for its database: what it fails with, the batch fails with.
    pub store: Arc<dyn Store>,
    pub persister: Persister,
    pub publisher: Arc<Publisher>,
    pub domains: Domains,
    pub limits: Limits,
    /// Where rejected records are kept; without, they are only told of.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Which broker positions are of, where offsets alone do not tell.
    pub broker_id: Option<String>,
}

/// The good records of a batch, in order: at one index what one says, whom to, and the record itself.
#[derive(Default)]
struct Batch {
    drafts: Vec<Draft>,
    audiences: Vec<Audience>,
    records: Vec<Record>,
}

impl Pipeline {
    /// Takes a batch through all steps. When this returns `Ok` every record was either persisted or is kept as a dead
    /// letter, and its offset may be committed; after a failure the same batch may be processed again.
    pub async fn process(&self, records: Vec<Record>) -> Result<Summary, StoreError> {
        let started = Instant::now();
        let count = records.len();
        let mut summary = Summary::default();
        let mut batch = self.decode(records, &mut summary);
        let directory = timed("resolve", self.resolve(&mut batch, &mut summary)).await?;
        self.deliver(&batch, &directory, &mut summary).await?;
        self.set_aside(&summary.rejected).await?;
        metrics::rows("inserted", summary.inserted);
        metrics::rows("existing", summary.existing);
        metrics::rows("deleted", summary.deleted);
        metrics::batch(count, started.elapsed());
        Ok(summary)
    }

    fn decode(&self, records: Vec<Record>, summary: &mut Summary) -> Batch {
        let mut batch = Batch::default();
        for record in records {
            match self.read(&record) {
                Ok((draft, audience)) => {
                    batch.drafts.push(draft);
                    batch.audiences.push(audience);
                    batch.records.push(record);
                }
                Err(rejection) => summary.rejected.push(Rejected { record, rejection }),
            }
        }
        batch
    }

    fn read(&self, record: &Record) -> Result<(Draft, Audience), Rejection> {
        let mut event = ActivityEvent::parse(record.value.as_deref().unwrap_or_default())?;
        let id = event.id.take().unwrap_or_else(|| self.key(&record.position));
        let draft = compose::compose(&mut event, id)?;
        Ok((draft, Audience::of(&mut event, &self.domains)))
    }

    /// The idempotency key of an event that brings none.
    fn key(&self, position: &Position) -> String {
        self.broker_id.as_ref().map_or_else(|| position.to_string(), |broker| format!("{broker}/{position}"))
    }

    /// Looks up the scopes of the batch. Records whose scope the database can't be asked for leave it.
    async fn resolve(&self, batch: &mut Batch, summary: &mut Summary) -> Result<Directory, StoreError> {
        let resolve = async |audiences: &[Audience]| resolve::resolve(&*self.store, audiences, self.limits).await;
        match resolve(&batch.audiences).await {
            Err(StoreError::Refused { .. }) => {}
            result => return result,
        }
        let whole = std::mem::take(batch);
        for ((draft, audience), record) in whole.drafts.into_iter().zip(whole.audiences).zip(whole.records) {
            match resolve(std::slice::from_ref(&audience)).await {
                Err(StoreError::Refused { code }) => {
                    summary.rejected.push(Rejected { record, rejection: Rejection::Refused { code } });
                }
                result => {
                    result?;
                    batch.drafts.push(draft);
                    batch.audiences.push(audience);
                    batch.records.push(record);
                }
            }
        }
        resolve(&batch.audiences).await
    }

    async fn deliver(&self, batch: &Batch, directory: &Directory, summary: &mut Summary) -> Result<(), StoreError> {
        let mut chunk = Vec::new();
        let mut pushes = Vec::new();
        for (draft, audience) in batch.audiences.iter().enumerate() {
            let mut recipients = Recipients::new(audience, directory);
            while let Some(page) = recipients.next(&*self.store).await? {
                for recipient_id in page {
                    chunk.push(Copy { draft, recipient_id });
                    if chunk.len() == CHUNK {
                        pushes = self.write(batch, &std::mem::take(&mut chunk), pushes, summary).await?;
                    }
                }
            }
        }
        pushes = self.write(batch, &chunk, pushes, summary).await?;
        timed("publish", self.publisher.publish(&batch.drafts, pushes)).await;
        Ok(())
    }

    /// Writes a chunk while the pushes of the one before leave; returns its own.
    async fn write(
        &self,
        batch: &Batch,
        chunk: &[Copy],
        pushes: Vec<Push>,
        summary: &mut Summary,
    ) -> Result<Vec<Push>, StoreError> {
        let persist = self.persister.persist(&*self.store, &batch.drafts, chunk);
        let (persisted, ()) = tokio::join!(timed("persist", persist), self.publisher.publish(&batch.drafts, pushes));
        let mut pushes = Vec::with_capacity(chunk.len());
        for (copy, persisted) in chunk.iter().zip(persisted?) {
            match persisted {
                Persisted::Inserted { id, at } => {
                    summary.inserted += 1;
                    pushes.push(Push::New { draft: copy.draft, id, recipient_id: copy.recipient_id.clone(), at });
                }
                Persisted::Existing(row) => {
                    summary.existing += 1;
                    pushes.push(Push::Stored(row));
                }
                Persisted::Deleted => summary.deleted += 1,
                Persisted::Refused { code } => {
                    metrics::rows("refused", 1);
                    let record = &batch.records[copy.draft];
                    if summary.rejected.last().is_none_or(|last| last.record.position != record.position) {
                        let rejection = Rejection::Refused { code };
                        summary.rejected.push(Rejected { record: record.clone(), rejection });
                    }
                }
            }
        }
        Ok(pushes)
    }

    /// Tells of the rejected records, and returns when they are kept.
    async fn set_aside(&self, rejected: &[Rejected]) -> Result<(), StoreError> {
        for Rejected { record: Record { position, .. }, rejection } in rejected {
            metrics::rejected(rejection.label());
            tracing::warn!(
                topic = &*position.topic, partition = position.partition, offset = position.offset,
                reason = rejection.label(), detail = %rejection, "record rejected"
            );
        }
        match &self.dead_letters {
            Some(dead_letters) if !rejected.is_empty() => {
                timed("dead_letters", dead_letters.keep(rejected)).await.map_err(|Stopped| StoreError::Stopped)
            }
            _ => Ok(()),
        }
    }
}

async fn timed<T>(step: &'static str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let output = work.await;
    metrics::step(step, started.elapsed());
    output
}
