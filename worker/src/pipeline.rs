//! The order of the steps: decode, select, resolve, compose, persist, publish. Nothing else orders them, and what it is
//! fed from does not matter here.
//!
//! A batch is one transaction as long as it has at most [`CHUNK`] rows. A larger audience is written and pushed in
//! chunks of that size, each in a transaction of its own: a crash in between leaves rows that the redelivered batch
//! finds and pushes again. While one chunk is written the one before it is pushed; pushes keep the order of records.

use std::{sync::Arc, time::Instant};

use signal_wire::activity::{ActivityEvent, Malformed};
use time::OffsetDateTime;

use crate::{
    compose::{self, ComposeError},
    metrics,
    persist::{Copy, Persisted, Persister},
    publish::{Publisher, Push},
    record::{Position, Record},
    resolve::{self, Audience, Directory, Domains, Limits, Recipients},
    selection::Selection,
    store::{Draft, Store, StoreError},
};

/// Rows of one transaction. Also bounds what of an audience is in memory.
pub const CHUNK: usize = 4096;

/// Why a record was set aside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("the database refuses it ({code})")]
    Refused { code: String },
}

impl Rejection {
    /// The label under which it is counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.label(),
            Self::Compose(error) => error.label(),
            Self::Refused { .. } => "refused_by_database",
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that are meant and could be read.
    pub matched: u64,
    pub inserted: u64,
    pub existing: u64,
    pub deleted: u64,
    pub rejected: Vec<Rejected>,
}

/// A record that was set aside, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub record: Record,
    pub rejection: Rejection,
}

/// What a batch is to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occasion {
    /// News. Rows are created now; one that is there already comes of a redelivery, and is pushed again, as nobody knows
    /// whether it was.
    #[default]
    News,
    /// What was. Rows are created when their records were, so that lists keep their order, and only new ones are pushed.
    History,
}

/// What the steps work with.
#[derive(Debug)]
pub struct Pipeline {
    /// Best one that waits for its database: what it fails with, the batch fails with.
    pub store: Arc<dyn Store>,
    pub persister: Persister,
    /// Without one nobody's screen moves.
    pub publisher: Option<Arc<Publisher>>,
    pub domains: Domains,
    pub limits: Limits,
    /// Which broker positions are of, where offsets alone do not tell.
    pub broker_id: Option<String>,
    pub selection: Selection,
    pub occasion: Occasion,
}

/// The good records of a batch, in order: at one index what one says, whom to, and the record itself.
#[derive(Default)]
struct Batch {
    drafts: Vec<Draft>,
    audiences: Vec<Audience>,
    records: Vec<Record>,
}

impl Pipeline {
    /// Takes a batch through all steps. When this returns `Ok` every record was either persisted or rejected, and its
    /// offset may be committed; after a failure the same batch may be processed again.
    pub async fn process(&self, records: Vec<Record>) -> Result<Summary, StoreError> {
        let started = Instant::now();
        let count = records.len();
        let mut summary = Summary::default();
        let batch = self.decode(records, &mut summary);
        let directory = timed("resolve", resolve::resolve(&*self.store, &batch.audiences, self.limits)).await?;
        self.deliver(&batch, &directory, &mut summary).await?;
        for Rejected { record: Record { position, .. }, rejection } in &summary.rejected {
            metrics::rejected(rejection.label());
            tracing::warn!(
                topic = &*position.topic, partition = position.partition, offset = position.offset,
                reason = rejection.label(), detail = %rejection, "record rejected"
            );
        }
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
                Ok(None) => {}
                Ok(Some((draft, audience))) => {
                    batch.drafts.push(draft);
                    batch.audiences.push(audience);
                    batch.records.push(record);
                }
                Err(rejection) => summary.rejected.push(Rejected { record, rejection }),
            }
        }
        batch
    }

    /// `None` for an event that is not meant.
    fn read(&self, record: &Record) -> Result<Option<(Draft, Audience)>, Rejection> {
        let mut event = ActivityEvent::parse(record.value.as_deref().unwrap_or_default())?;
        if !self.selection.admits(&event) {
            return Ok(None);
        }
        let id = event.id.take().unwrap_or_else(|| self.key(&record.position));
        let draft = compose::compose(&mut event, id)?;
        Ok(Some((draft, Audience::of(&mut event, &self.domains))))
    }

    /// The idempotency key of an event that brings none.
    fn key(&self, position: &Position) -> String {
        self.broker_id.as_ref().map_or_else(|| position.to_string(), |broker| format!("{broker}/{position}"))
    }

    async fn deliver(&self, batch: &Batch, directory: &Directory, summary: &mut Summary) -> Result<(), StoreError> {
        let mut chunk = Vec::new();
        let mut pushes = Vec::new();
        for (draft, audience) in batch.audiences.iter().enumerate() {
            let created_at = match self.occasion {
                Occasion::News => None,
                Occasion::History => batch.records[draft].plausible_time(OffsetDateTime::now_utc()),
            };
            let mut recipients = Recipients::new(audience, directory);
            let mut matched = self.selection.users.is_empty();
            while let Some(page) = recipients.next(&*self.store).await? {
                for recipient_id in page.into_iter().filter(|user| self.selection.includes(user)) {
                    matched = true;
                    chunk.push(Copy { draft, recipient_id, created_at });
                    if chunk.len() == CHUNK {
                        pushes = self.write(batch, &std::mem::take(&mut chunk), pushes, summary).await?;
                    }
                }
            }
            summary.matched += u64::from(matched);
        }
        pushes = self.write(batch, &chunk, pushes, summary).await?;
        timed("publish", self.publish(batch, pushes)).await;
        Ok(())
    }

    async fn publish(&self, batch: &Batch, pushes: Vec<Push>) {
        if let Some(publisher) = &self.publisher {
            publisher.publish(&batch.drafts, pushes).await;
        }
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
        let (persisted, ()) = tokio::join!(timed("persist", persist), self.publish(batch, pushes));
        let mut pushes = Vec::with_capacity(chunk.len());
        for (copy, persisted) in chunk.iter().zip(persisted?) {
            match persisted {
                Persisted::Inserted { id, created_at, modified_at } => {
                    summary.inserted += 1;
                    let recipient_id = copy.recipient_id.clone();
                    pushes.push(Push::New { draft: copy.draft, id, recipient_id, created_at, modified_at });
                }
                Persisted::Existing(row) => {
                    summary.existing += 1;
                    if self.occasion == Occasion::News {
                        pushes.push(Push::Stored(row));
                    }
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
}

async fn timed<T>(step: &'static str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let output = work.await;
    metrics::step(step, started.elapsed());
    output
}
