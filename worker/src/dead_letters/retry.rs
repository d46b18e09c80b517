//! `dead-letters retry`: takes letters through the pipeline once more, under the position that their records had.
//!
//! An event without an id is known by its position, so that whoever has its row keeps it, and retrying twice writes
//! nothing twice. Letters stay where they are, whatever comes of it; those that still fail are told of and written
//! nowhere again.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    io::Write,
};

use tokio_util::sync::CancellationToken;

use super::{
    CommandError,
    letter::{LeftOut, Letter, VALUE_BYTES},
    readable::escaped,
    selection::{Place, Selection},
};
use crate::{
    consume::range::{RangeError, Slice, Topic},
    pipeline::{Pipeline, Summary},
    record::{Position, Record},
    rejection::Rejected,
    store::StoreError,
};

/// What letters are taken from and through.
#[derive(Debug)]
pub struct Retry<'a> {
    pub dead_letters: &'a Topic,
    /// The topic that records come from; letters of other topics are somebody else's.
    pub origin: &'a Topic,
    /// Keeps no dead letters itself.
    pub pipeline: &'a Pipeline,
    pub stop: &'a CancellationToken,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Letters that were selected.
    pub selected: u64,
    /// Those whose event everybody has by now.
    pub brought_in: u64,
    pub inserted: u64,
    pub existing: u64,
    pub deleted: u64,
    pub failed: u64,
    /// Letters of other topics.
    pub left_alone: u64,
    /// It was stopped before its end.
    pub stopped: bool,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        self.failed == 0 && !self.stopped
    }

    fn add(&mut self, summary: &Summary) {
        self.inserted += summary.inserted;
        self.existing += summary.existing;
        self.deleted += summary.deleted;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { selected, brought_in, inserted, existing, deleted, failed, left_alone, stopped } = self;
        writeln!(f, "selected       {selected}")?;
        writeln!(f, "brought in     {brought_in}")?;
        writeln!(f, "still failing  {failed}")?;
        if *left_alone > 0 {
            writeln!(f, "left alone     {left_alone}, of other topics")?;
        }
        write!(
            f,
            "rows           {inserted} inserted, {existing} already there, {deleted} deleted by their people before"
        )?;
        if *stopped { write!(f, "\nstopped before the end: run it again") } else { Ok(()) }
    }
}

/// A letter that can be tried, and what it was.
struct Tried {
    place: Place,
    record: Record,
}

impl Retry<'_> {
    /// Tries what is selected of all that is there now, and writes a line for each that still fails.
    ///
    /// # Errors
    /// If the topic can't be read, or the lines not be written.
    pub async fn run(&self, selection: &Selection, out: &mut dyn Write) -> Result<Outcome, CommandError> {
        let mut records = self.dead_letters.read(&selection.slices(self.dead_letters).await?)?;
        let mut outcome = Outcome::default();
        let mut missing: BTreeSet<Place> = selection.places.iter().copied().collect();
        // A cluster that is away is waited for, but not beyond the stop.
        while let Some(batch) = self.stop.run_until_cancelled(records.next()).await.transpose()?.flatten() {
            let letters: Vec<_> = batch.into_iter().map(Letter::read).filter(|one| selection.takes(one)).collect();
            for letter in &letters {
                missing.remove(&Place::of(letter));
            }
            if !self.batch(letters, selection, &mut outcome, out).await? {
                break;
            }
        }
        outcome.stopped = self.stop.is_cancelled();
        if outcome.stopped {
            return Ok(outcome);
        }
        for place in missing {
            outcome.failed += 1;
            writeln!(out, "{place}  there is no such dead letter on the topic {}", self.dead_letters.name())?;
        }
        Ok(outcome)
    }

    /// Whether it was not stopped meanwhile.
    async fn batch(
        &self,
        letters: Vec<Letter>,
        selection: &Selection,
        outcome: &mut Outcome,
        out: &mut dyn Write,
    ) -> Result<bool, CommandError> {
        let mut tried = Vec::new();
        for letter in letters {
            let place = Place::of(&letter);
            outcome.selected += 1;
            match self.restore(&letter).await? {
                Ok(record) => tried.push(Tried { place, record }),
                // One that was named is not passed over in silence.
                Err(Untried::OtherTopic) if selection.places.is_empty() => outcome.left_alone += 1,
                Err(why) => {
                    outcome.failed += 1;
                    let origin = letter.origin.as_ref().map_or_else(|| "-".to_owned(), Position::to_string);
                    writeln!(out, "{place}  {}  {why}", escaped(origin.as_bytes()))?;
                }
            }
        }
        let records: Vec<Record> = tried.iter().map(|one| one.record.clone()).collect();
        let summary = match self.pipeline.process(records).await {
            Ok(summary) => summary,
            Err(StoreError::Stopped) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        outcome.add(&summary);
        let rejected: HashMap<&Position, &Rejected> =
            summary.rejected.iter().map(|rejected| (&rejected.record.position, rejected)).collect();
        for Tried { place, record } in &tried {
            match rejected.get(&record.position) {
                None => outcome.brought_in += 1,
                Some(Rejected { rejection, .. }) => {
                    outcome.failed += 1;
                    let origin = escaped(record.position.to_string().as_bytes());
                    writeln!(out, "{place}  {origin}  {}: {rejection}", rejection.label())?;
                }
            }
        }
        Ok(true)
    }

    /// The record of a letter as it was, read at its origin if the letter does not have all of it.
    async fn restore(&self, letter: &Letter) -> Result<Result<Record, Untried>, CommandError> {
        let Some(record) = letter.restored() else { return Ok(Err(Untried::NoOrigin)) };
        if record.position.topic != *self.origin.name() {
            return Ok(Err(Untried::OtherTopic));
        }
        if letter.left_out == LeftOut::Nothing {
            return Ok(Ok(record));
        }
        let bytes = letter.record.header(VALUE_BYTES).and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse().ok());
        let original = self.original(&record.position).await?;
        // A topic that was made anew has other records at the same offsets.
        let same = |record: &Record| record.value.as_ref().map(bytes::Bytes::len) == bytes;
        Ok(original.filter(same).ok_or(Untried::Gone))
    }

    async fn original(&self, position: &Position) -> Result<Option<Record>, CommandError> {
        let held = match self.origin.whole().await {
            Ok(slices) => slices.into_iter().find(|slice| slice.partition == position.partition),
            Err(RangeError::NoTopic(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(held) = held.filter(|held| (held.from..held.to).contains(&position.offset)) else { return Ok(None) };
        let slice = Slice { from: position.offset, to: position.offset + 1, ..held };
        let mut records = self.origin.read(&[slice])?;
        while let Some(batch) = records.next().await? {
            if let Some(record) = batch.into_iter().find(|record| record.position == *position) {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

/// Why a letter was not even tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Untried {
    #[error("no header says where it was: it is not one of Signal's")]
    NoOrigin,
    #[error("it is of another topic; SIGNAL_KAFKA_TOPIC says whose letters are retried")]
    OtherTopic,
    #[error("it was too large to be kept whole, and its topic does not have it any more")]
    Gone,
}
