//! `signal-worker explain`: where an event's record is, which rows it made for whom, what was pushed when, or why not.
//!
//! It only looks. What it says of pushes is what the running workers remember ([`crate::journal`]); everything else it
//! reads from Kafka and the database.

mod ask;
mod people;
mod report;
mod search;

use std::sync::Arc;

use signal_bus::Bus;
use signal_wire::{activity::ActivityEvent, journal::Reply};
use time::OffsetDateTime;

use self::search::{Found, Where};
pub use self::{ask::AskError, people::People, report::Report};
use crate::{
    consume::range::{RangeError, Topic},
    dead_letters::letter::Letter,
    record::{Position, Record},
    resolve::Domains,
    store::{
        Database, StoreError,
        rows::{EventCounts, EventRow},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// An event's id, or `{topic}/{partition}/{offset}`.
    pub event: String,
    /// Look for the record from then on; without it, around the time of its rows, and else everywhere.
    pub from: Option<OffsetDateTime>,
    /// Rows and people that are named.
    pub limit: usize,
}

/// Where the answers are.
#[derive(Debug)]
pub struct Sources {
    pub topic: Topic,
    pub dead_letters: Topic,
    pub group: String,
    pub database: Arc<dyn Database>,
    pub domains: Domains,
    /// Without it nothing is said of pushes.
    pub bus: Option<Arc<dyn Bus>>,
}

/// How far the group is with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has committed this offset, which is behind the record.
    Behind(i64),
    /// So many offsets come before the record.
    Waits(i64),
    /// It has never committed anything of the partition.
    Nowhere,
}

/// Everything that is known of an event.
#[derive(Debug)]
pub struct Facts {
    pub event: String,
    pub group: String,
    /// Of the topic, with how far the group is.
    pub records: Vec<(Record, Progress)>,
    pub looked_at: u64,
    /// `None` where there is no such topic.
    pub dead_letters: Option<Vec<Letter>>,
    pub counts: EventCounts,
    pub rows: Vec<EventRow>,
    /// Whom the first record that can be read is for, as of now.
    pub people: Option<People>,
    pub pushes: Pushes,
}

/// What the workers say.
#[derive(Debug)]
pub enum Pushes {
    NotAsked,
    Unknown(AskError),
    Remembered(Vec<Reply>),
}

/// Looks everywhere.
///
/// # Errors
/// If Kafka or the database can't be asked. A backplane that is away is one of the facts.
pub async fn explain(question: &Question, sources: &Sources) -> Result<Facts, ExplainError> {
    let event = question.event.as_str();
    let counts = sources.database.count_of(event).await?;
    let rows = sources.database.rows_of(event, "", question.limit).await?;
    let first = rows.iter().map(|row| row.created_at).min();
    let place = question.from.map(Where::From).or_else(|| first.map(Where::Near)).unwrap_or(Where::Everywhere);
    let Found { records, looked_at } = search::find(&sources.topic, event, place).await?;
    let committed = sources.topic.committed().await?;
    let progress = |record: &Record| match committed.get(&record.position.partition) {
        Some(next) if *next > record.position.offset => Progress::Behind(*next),
        Some(next) => Progress::Waits(record.position.offset - next),
        None => Progress::Nowhere,
    };
    let with_progress = |record: Record| {
        let progress = progress(&record);
        (record, progress)
    };
    let records: Vec<(Record, Progress)> = records.into_iter().map(with_progress).collect();
    let dead_letters = match dead_letters(&sources.dead_letters, event, &records).await {
        Ok(found) => Some(found),
        Err(RangeError::NoTopic(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let readable = records.iter().find_map(|(record, _)| ActivityEvent::parse(record.value.as_deref()?).ok());
    let people = match readable {
        Some(event_read) => Some(People::of(event_read, event, sources, question.limit).await?),
        None => None,
    };
    let pushes = match &sources.bus {
        None => Pushes::NotAsked,
        Some(bus) => ask::ask(&**bus, event).await.map_or_else(Pushes::Unknown, Pushes::Remembered),
    };
    let (event, group) = (question.event.clone(), sources.group.clone());
    Ok(Facts { event, group, records, looked_at, dead_letters, counts, rows, people, pushes })
}

/// Those of the event itself and those of its records, which may not say whose they are.
async fn dead_letters(topic: &Topic, event: &str, records: &[(Record, Progress)]) -> Result<Vec<Letter>, RangeError> {
    let is_meant = |letter: &Letter| {
        let is_of_record = |origin: &Position| {
            origin.to_string() == event || records.iter().any(|(record, _)| record.position == *origin)
        };
        letter.origin.as_ref().is_some_and(is_of_record) || search::is_of(&letter.record, event)
    };
    let mut found = Vec::new();
    let mut letters = topic.read(&topic.whole().await?)?;
    while let Some(batch) = letters.next().await? {
        found.extend(batch.into_iter().map(Letter::read).filter(is_meant));
    }
    Ok(found)
}
