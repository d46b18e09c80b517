//! The order of the steps: decode, select, resolve, compose, persist, publish, and what is left over into dead letters.
//! Nothing else orders them, and what it is fed from does not matter here.
//!
//! A batch is one transaction as long as it has at most [`CHUNK`] rows. A larger audience is written and pushed in
//! chunks of that size, each in a transaction of its own: a crash in between leaves rows that the redelivered batch
//! finds and pushes again. While one chunk is written the one before it is pushed; pushes keep the order of records.

use std::{sync::Arc, time::Instant};

use signal_wire::{activity::ActivityEvent, journal::Entry};
use time::OffsetDateTime;

use crate::{
    compose,
    dead_letters::{DeadLetters, Stopped},
    journal::Journal,
    metrics,
    persist::{Copy, Persisted, Persister},
    publish::{Drafted, Publisher, Push, PushedRow, Tallies},
    record::{Position, Record},
    rejection::{Rejected, Rejection},
    resolve::{self, Audience, Directory, Domains, Limits, Recipients},
    selection::Selection,
    store::{Draft, Store, StoreError},
    trace::{self, Trace},
};

/// Rows of one transaction. Also bounds what of an audience is in memory.
pub const CHUNK: usize = 4096;
/// What the records of a chunk's rows add up to at most, each counted for each of its rows: rows that are there already
/// are read, and a large event has large rows.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that are meant and could be read.
    pub matched: u64,
    pub inserted: u64,
    pub existing: u64,
    pub deleted: u64,
    /// Pushes that the backplane took, and those that it did not.
    pub sent: u64,
    pub missed: u64,
    pub rejected: Vec<Rejected>,
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
    /// Is told what became of each event.
    pub journal: Arc<Journal>,
    /// Where rejected records are kept; without, they are only told of.
    pub dead_letters: Option<Arc<dyn DeadLetters>>,
    /// Which broker positions are of, where offsets alone do not tell.
    pub broker_id: Option<String>,
    pub selection: Selection,
    pub occasion: Occasion,
}

/// The good records of a batch, in order: at one index what one says, whom to, the record itself, where it stands in
/// traces, and what has become of it so far.
#[derive(Default)]
struct Batch {
    drafts: Vec<Draft>,
    audiences: Vec<Audience>,
    records: Vec<Record>,
    traces: Vec<Trace>,
    traceparents: Vec<Option<String>>,
}

impl Batch {
    /// Takes out a record that is set aside before anything is written of it.
    fn remove(&mut self, at: usize, rejection: &Rejection) -> Record {
        self.drafts.remove(at);
        self.audiences.remove(at);
        self.traceparents.remove(at);
        self.traces.remove(at).rejected(rejection.label());
        self.records.remove(at)
    }

    /// What people waited for, if the producer's clock is to be believed.
    fn tell_ages(&self, now: OffsetDateTime) {
        let ages = self.records.iter().filter_map(|record| Some(now - record.plausible_time(now)?));
        ages.for_each(|age| metrics::record_age(age.unsigned_abs()));
    }
}

/// What has become of a batch so far.
#[derive(Default)]
struct Progress {
    summary: Summary,
    /// Of the good records, in order.
    entries: Vec<Entry>,
    /// Of those that could not be read.
    unread: Vec<Entry>,
}

impl Pipeline {
    /// Takes a batch through all steps. When this returns `Ok` every record was either persisted or is kept as a dead
    /// letter, and its offset may be committed; after a failure the same batch may be processed again.
    pub async fn process(&self, records: Vec<Record>) -> Result<Summary, StoreError> {
        let started = Instant::now();
        let count = records.len();
        let mut progress = Progress::default();
        let mut batch = self.decode(records, &mut progress);
        metrics::step("compose", started.elapsed());
        let directory = self.resolve(&mut batch, &mut progress).await?;
        self.deliver(&batch, &directory, &mut progress).await?;
        if self.occasion == Occasion::News {
            batch.tell_ages(OffsetDateTime::now_utc());
        }
        let Progress { mut summary, entries, unread } = progress;
        // However they were found, letters are in the order of their records.
        summary.rejected.sort_by_key(|one| (one.record.position.partition, one.record.position.offset));
        self.set_aside(&summary.rejected).await?;
        let now = OffsetDateTime::now_utc();
        self.journal.write(unread.into_iter().chain(entries).map(|entry| Entry { at: now, ..entry }));
        metrics::rows("inserted", summary.inserted);
        metrics::rows("existing", summary.existing);
        metrics::rows("deleted", summary.deleted);
        metrics::batch(count, started.elapsed());
        Ok(summary)
    }

    fn decode(&self, records: Vec<Record>, progress: &mut Progress) -> Batch {
        let mut batch = Batch::default();
        for record in records {
            let mut trace = Trace::begin(&record);
            let mut entry = Entry::of(record.position.to_string());
            match self.read(&record, &mut entry.event_id) {
                Ok(None) => {}
                Ok(Some((draft, audience))) => {
                    batch.drafts.push(draft);
                    batch.audiences.push(audience);
                    batch.records.push(record);
                    batch.traceparents.push(trace.traceparent.take());
                    batch.traces.push(trace);
                    progress.entries.push(entry);
                }
                Err(rejection) => {
                    trace.rejected(rejection.label());
                    progress.unread.push(Entry { rejected: Some(rejection.to_string()), ..entry });
                    progress.summary.rejected.push(Rejected { record, rejection });
                }
            }
        }
        batch
    }

    /// `None` for an event that is not meant. Says under which id, as soon as it is known.
    fn read(&self, record: &Record, event_id: &mut String) -> Result<Option<(Draft, Audience)>, Rejection> {
        let mut event = ActivityEvent::parse(record.value.as_deref().unwrap_or_default())?;
        if !self.selection.admits(&event) {
            return Ok(None);
        }
        let id = event.id.take().unwrap_or_else(|| self.key(&record.position));
        event_id.clone_from(&id);
        let draft = compose::compose(&mut event, id)?;
        Ok(Some((draft, Audience::of(&mut event, &self.domains))))
    }

    /// The idempotency key of an event that brings none.
    fn key(&self, position: &Position) -> String {
        self.broker_id.as_ref().map_or_else(|| position.to_string(), |broker| format!("{broker}/{position}"))
    }

    /// Looks up the scopes of the batch. Records whose scope the database can't be asked for leave it.
    async fn resolve(&self, batch: &mut Batch, progress: &mut Progress) -> Result<Directory, StoreError> {
        let resolve = async |audiences: &[Audience], traces: &[Trace]| {
            timed("resolve", traces, resolve::resolve(&*self.store, audiences, self.limits)).await
        };
        match resolve(&batch.audiences, &batch.traces).await {
            Err(StoreError::Refused { .. }) => {}
            result => return result,
        }
        let mut refused = Vec::new();
        for (at, audience) in batch.audiences.iter().enumerate() {
            match resolve(std::slice::from_ref(audience), &[]).await {
                Err(StoreError::Refused { code }) => refused.push((at, Rejection::Refused { code })),
                result => drop(result?),
            }
        }
        for (at, rejection) in refused.into_iter().rev() {
            let entry = progress.entries.remove(at);
            progress.unread.push(Entry { rejected: Some(rejection.to_string()), ..entry });
            progress.summary.rejected.push(Rejected { record: batch.remove(at, &rejection), rejection });
        }
        resolve(&batch.audiences, &batch.traces).await
    }

    async fn deliver(&self, batch: &Batch, directory: &Directory, progress: &mut Progress) -> Result<(), StoreError> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
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
                    bytes += batch.records[draft].bytes();
                    if chunk.len() == CHUNK || bytes >= CHUNK_BYTES {
                        bytes = 0;
                        pushes = self.write(batch, &std::mem::take(&mut chunk), pushes, progress).await?;
                    }
                }
            }
            progress.summary.matched += u64::from(matched);
        }
        pushes = self.write(batch, &chunk, pushes, progress).await?;
        self.publish(batch, pushes, progress).await;
        Ok(())
    }

    /// Writes a chunk while the pushes of the one before leave; returns its own.
    async fn write(
        &self,
        batch: &Batch,
        chunk: &[Copy],
        pushes: Vec<Push>,
        progress: &mut Progress,
    ) -> Result<Vec<Push>, StoreError> {
        if chunk.is_empty() {
            return Ok(pushes);
        }
        let persist = self.persister.persist(&*self.store, &batch.drafts, chunk);
        let persist = timed("persist", &batch.traces, persist);
        let (persisted, ()) = tokio::join!(persist, self.publish(batch, pushes, progress));
        let Progress { summary, entries, .. } = progress;
        let mut pushes = Vec::with_capacity(chunk.len());
        for (copy, persisted) in chunk.iter().zip(persisted?) {
            let entry = &mut entries[copy.draft];
            match persisted {
                Persisted::Inserted { id, created_at, modified_at } => {
                    summary.inserted += 1;
                    entry.inserted += 1;
                    let row = PushedRow::New { id, recipient_id: copy.recipient_id.clone(), created_at, modified_at };
                    pushes.push(Push { draft: copy.draft, row });
                }
                Persisted::Existing(row) => {
                    summary.existing += 1;
                    entry.existing += 1;
                    if self.occasion == Occasion::News {
                        pushes.push(Push { draft: copy.draft, row: PushedRow::Stored(row) });
                    }
                }
                Persisted::Deleted => {
                    summary.deleted += 1;
                    entry.deleted += 1;
                }
                Persisted::Refused { code } => {
                    metrics::rows("refused", 1);
                    let record = &batch.records[copy.draft];
                    if entry.rejected.is_none() {
                        let rejection = Rejection::Refused { code };
                        batch.traces[copy.draft].rejected(rejection.label());
                        entry.rejected = Some(rejection.to_string());
                        summary.rejected.push(Rejected { record: record.clone(), rejection });
                    }
                }
            }
        }
        Ok(pushes)
    }

    async fn publish(&self, batch: &Batch, pushes: Vec<Push>, progress: &mut Progress) {
        let Some(publisher) = self.publisher.as_ref().filter(|_| !pushes.is_empty()) else { return };
        let drafted = Drafted { drafts: &batch.drafts, traces: &batch.traceparents };
        let tallies: Tallies = timed("publish", &batch.traces, publisher.publish(drafted, pushes)).await;
        for (draft, tally) in tallies {
            let entry = &mut progress.entries[draft];
            entry.sent += tally.sent;
            entry.missed += tally.missed;
            progress.summary.sent += tally.sent;
            progress.summary.missed += tally.missed;
        }
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
                timed("dead_letters", &[], dead_letters.keep(rejected)).await.map_err(|Stopped| StoreError::Stopped)
            }
            _ => Ok(()),
        }
    }
}

/// A step as the metrics and the records' traces have it.
async fn timed<T>(step: &'static str, traces: &[Trace], work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let traced = trace::step(traces, step);
    let output = work.await;
    drop(traced);
    metrics::step(step, started.elapsed());
    output
}
