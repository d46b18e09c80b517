//! A stretch of a topic, read outside of any group: nobody's membership, offsets or batches notice.
//!
//! A thread reads ahead by one batch and no further; [`Records`] ends when every slice has been read, and dropping it
//! ends the thread.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{ConsumeError, ConsumeSettings, TopicName, message, properties, refused};
use crate::record::Record;

/// How long a question to the cluster may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a poll may wait when nothing is there; also how late a reader notices that nobody takes batches any more.
const IDLE: Duration = Duration::from_millis(100);
/// Large records make smaller batches.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Offsets of one partition, from `from` to before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

impl Slice {
    /// Offsets in it; where a topic is compacted or has transactions there are fewer records.
    pub fn len(&self) -> u64 {
        u64::try_from(self.to - self.from).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    #[error(transparent)]
    Settings(#[from] ConsumeError),
    #[error("the topic {0} does not exist")]
    NoTopic(Arc<str>),
    #[error("Kafka does not answer: {0}")]
    Away(#[source] KafkaError),
    #[error("the thread that reads from Kafka can't be started")]
    Thread(#[source] std::io::Error),
    #[error("the thread that asks Kafka has ended")]
    Gone,
}

/// A topic that is looked at.
#[derive(Clone)]
pub struct Topic {
    consumer: Arc<BaseConsumer>,
    config: ClientConfig,
    name: Arc<str>,
    batch_size: usize,
}

impl Topic {
    /// Connects when first asked.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn open(settings: &ConsumeSettings, name: &TopicName) -> Result<Self, RangeError> {
        let mut config = properties::client_config(settings).map_err(ConsumeError::from)?;
        // The group is there by name only, since librdkafka wants one: it is never joined, and nothing is committed.
        config.set("enable.partition.eof", "true").set("statistics.interval.ms", "0");
        // What has been deleted meanwhile is passed over; by the other policy everything behind it would be, too.
        config.set("auto.offset.reset", "earliest");
        let consumer = config.create().map_err(|error| refused(&error))?;
        Ok(Self { consumer: Arc::new(consumer), config, name: name.as_str().into(), batch_size: settings.batch_size })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// All that the topic holds at this moment, by partition.
    ///
    /// # Errors
    /// If there is no such topic, or no answer.
    pub async fn whole(&self) -> Result<Vec<Slice>, RangeError> {
        self.ask(|topic| {
            let slice = |partition| {
                let (from, to) = topic.consumer.fetch_watermarks(&topic.name, partition, LOOKUP_TIMEOUT)?;
                Ok(Slice { partition, from, to })
            };
            topic.partitions()?.into_iter().map(|partition| slice(partition).map_err(RangeError::Away)).collect()
        })
        .await
    }

    /// By partition, the offset of the first record of that time or later; where there is none, the end.
    ///
    /// # Errors
    /// If there is no such topic, or no answer.
    pub async fn offsets_at(&self, at: OffsetDateTime) -> Result<BTreeMap<i32, i64>, RangeError> {
        let ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
        self.ask(move |topic| {
            let mut times = TopicPartitionList::new();
            for partition in topic.partitions()? {
                times
                    .add_partition_offset(&topic.name, partition, Offset::Offset(ms.max(0)))
                    .expect("a time is no negative offset");
            }
            let found = topic.consumer.offsets_for_times(times, LOOKUP_TIMEOUT).map_err(RangeError::Away)?;
            let offset = |partition, found| match found {
                Offset::Offset(offset) => Ok(offset),
                _ => topic.consumer.fetch_watermarks(&topic.name, partition, LOOKUP_TIMEOUT).map(|(_, high)| high),
            };
            found
                .elements()
                .iter()
                .map(|element| Ok((element.partition(), offset(element.partition(), element.offset())?)))
                .collect::<Result<_, KafkaError>>()
                .map_err(RangeError::Away)
        })
        .await
    }

    /// What the group has committed, by partition; a partition without is not in it.
    ///
    /// # Errors
    /// If there is no such topic, or no answer.
    pub async fn committed(&self) -> Result<BTreeMap<i32, i64>, RangeError> {
        self.ask(|topic| {
            let mut partitions = TopicPartitionList::new();
            for partition in topic.partitions()? {
                partitions.add_partition(&topic.name, partition);
            }
            let committed = topic.consumer.committed_offsets(partitions, LOOKUP_TIMEOUT).map_err(RangeError::Away)?;
            let known = committed.elements().into_iter().filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            });
            Ok(known.collect())
        })
        .await
    }

    /// Reads the slices: each partition in its order, the partitions as they come.
    ///
    /// # Errors
    /// If the thread or its client can't be made.
    pub fn read(&self, slices: &[Slice]) -> Result<Records, RangeError> {
        let mut open: BTreeMap<i32, Slice> = BTreeMap::new();
        let mut assignment = TopicPartitionList::new();
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            open.insert(slice.partition, *slice);
            assignment
                .add_partition_offset(&self.name, slice.partition, Offset::Offset(slice.from))
                .expect("no slice begins at a negative offset");
        }
        let (sender, receiver) = mpsc::channel(1);
        let consumer: BaseConsumer = self.config.create().map_err(|error| refused(&error))?;
        let (name, size) = (Arc::clone(&self.name), self.batch_size);
        let run = move || {
            if let Err(error) = consumer.assign(&assignment) {
                let _ = sender.blocking_send(Err(RangeError::Away(error)));
                return;
            }
            while !open.is_empty() {
                let batch = fill(&consumer, &name, size, &mut open);
                let failed = batch.is_err();
                let empty = batch.as_ref().is_ok_and(Vec::is_empty);
                if (empty && sender.is_closed()) || (!empty && sender.blocking_send(batch).is_err()) || failed {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("kafka-range".to_owned()).spawn(run).map_err(RangeError::Thread)?;
        Ok(Records(receiver))
    }

    async fn ask<T, F>(&self, question: F) -> Result<T, RangeError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, RangeError> + Send + 'static,
    {
        let topic = self.clone();
        tokio::task::spawn_blocking(move || question(&topic)).await.map_err(|_| RangeError::Gone)?
    }

    fn partitions(&self) -> Result<Vec<i32>, RangeError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.name), LOOKUP_TIMEOUT).map_err(RangeError::Away)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == &*self.name);
        let partitions = topic.filter(|topic| topic.error().is_none()).map(|topic| topic.partitions());
        let mut numbers: Vec<i32> = partitions.unwrap_or_default().iter().map(|partition| partition.id()).collect();
        if numbers.is_empty() {
            return Err(RangeError::NoTopic(Arc::clone(&self.name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Topic").field(&self.name).finish()
    }
}

/// The records of a reading, in batches.
#[derive(Debug)]
pub struct Records(mpsc::Receiver<Result<Vec<Record>, RangeError>>);

impl Records {
    /// The next batch, which has at least one record; `None` when all has been read.
    ///
    /// # Errors
    /// If the client can't go on. A cluster that is away is waited for.
    pub async fn next(&mut self) -> Result<Option<Vec<Record>>, RangeError> {
        self.0.recv().await.transpose()
    }
}

/// What is at hand, or what comes within [`IDLE`]. Partitions that have been read to their end leave `open`.
fn fill(
    consumer: &BaseConsumer,
    topic: &Arc<str>,
    size: usize,
    open: &mut BTreeMap<i32, Slice>,
) -> Result<Vec<Record>, RangeError> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let began = Instant::now();
    while !open.is_empty() && batch.len() < size && bytes < BATCH_BYTES && began.elapsed() < IDLE {
        let wait = if batch.is_empty() { IDLE } else { Duration::ZERO };
        let message = match consumer.poll(wait) {
            None => break,
            Some(Ok(message)) => message,
            // Also where the last offsets hold no records that anybody may read.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
                continue;
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(RangeError::Away(error)),
            // librdkafka goes on by itself.
            Some(Err(error)) => {
                tracing::debug!(%error, "reading is interrupted");
                continue;
            }
        };
        let record = message::record(&message, topic);
        let Some(slice) = open.get(&record.position.partition) else { continue };
        let Slice { partition, to, .. } = *slice;
        if record.position.offset + 1 >= to {
            open.remove(&partition);
        }
        if record.position.offset < to {
            bytes += record.bytes();
            batch.push(record);
        }
    }
    Ok(batch)
}
