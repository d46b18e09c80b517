//! The consumer's thread: fill a batch, hand it out, wait until it is done, commit.

use std::{
    sync::{Arc, mpsc as ack},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};
use signal_service::health::Component;
use signal_wire::backoff::Backoff;
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Batch, ConsumeSettings, Receipt,
    group::{self, Group},
    message,
    offsets::marks,
};
use crate::record::Record;

/// How long a poll may wait when nothing is there; also how late a stop is noticed.
const IDLE: Duration = Duration::from_millis(100);
/// Commits are gathered for this long. After a crash so much more is read again, and found to be there.
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
/// A batch that takes longer pauses the partitions, so that polling, which membership needs, brings nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSED_POLL: Duration = Duration::from_millis(20);
/// Large records make smaller batches.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

/// Runs sessions until `stop` or until nobody takes batches any more.
pub(super) fn run(
    settings: &ConsumeSettings,
    config: &ClientConfig,
    health: &Component,
    batches: &mpsc::Sender<Batch>,
    stop: &CancellationToken,
    runtime: &Handle,
) {
    for attempt in 0.. {
        let error = match Session::open(settings, config, health.clone()) {
            Ok(mut session) => match session.run(batches, stop) {
                Ok(()) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        health.down(error.to_string());
        let pause = BACKOFF.delay(attempt, getrandom::u32().unwrap_or(u32::MAX));
        let stopped = runtime.block_on(async { tokio::time::timeout(pause, stop.cancelled()).await.is_ok() });
        if stopped {
            return;
        }
    }
}

/// One life of a consumer; dropping it leaves the group.
struct Session<'a> {
    settings: &'a ConsumeSettings,
    consumer: BaseConsumer<Group>,
    topic: Arc<str>,
    /// What came although the partitions were paused.
    held: Vec<Read>,
    next_commit: Instant,
}

struct Read {
    record: Record,
    epoch: u64,
}

impl<'a> Session<'a> {
    fn open(settings: &'a ConsumeSettings, config: &ClientConfig, health: Component) -> Result<Self, KafkaError> {
        let topic: Arc<str> = settings.topic.as_str().into();
        let group = Group::new(Arc::clone(&topic), settings.offset_reset, health);
        let consumer: BaseConsumer<Group> = config.create_with_context(group)?;
        consumer.subscribe(&[&topic])?;
        Ok(Self { settings, consumer, topic, held: Vec::new(), next_commit: Instant::now() })
    }

    fn group(&self) -> &Group {
        self.consumer.context()
    }

    /// `Err` if the client can't go on and has to be made anew.
    fn run(&mut self, batches: &mpsc::Sender<Batch>, stop: &CancellationToken) -> Result<(), KafkaError> {
        while !stop.is_cancelled() {
            let read = self.fill()?;
            if !read.is_empty() {
                let (sender, done) = ack::sync_channel(1);
                let mark = |read: &Read| (read.record.position.partition, read.epoch, read.record.position.offset);
                self.group().begin(done, marks(read.iter().map(mark)));
                let records = read.into_iter().map(|read| read.record).collect();
                if batches.blocking_send(Batch { records, receipt: Receipt(sender) }).is_err() {
                    return Ok(());
                }
                if self.wait()? == group::Batch::Abandoned {
                    return Ok(());
                }
            }
            self.commit();
        }
        self.group().commit_last(&self.consumer);
        Ok(())
    }

    fn commit(&mut self) {
        let now = Instant::now();
        if now >= self.next_commit {
            self.group().commit(&self.consumer);
            self.next_commit = now + COMMIT_INTERVAL;
        }
    }

    /// What is at hand, or what comes within [`IDLE`].
    fn fill(&mut self) -> Result<Vec<Read>, KafkaError> {
        let mut batch = std::mem::take(&mut self.held);
        let mut bytes: usize = batch.iter().map(|read| read.record.bytes()).sum();
        let mut began = Instant::now();
        while batch.len() < self.settings.batch_size && bytes < BATCH_BYTES {
            let wait = if batch.is_empty() { IDLE } else { Duration::ZERO };
            let Some(read) = self.poll(wait)? else { break };
            if batch.is_empty() {
                began = Instant::now();
            }
            bytes += read.record.bytes();
            batch.push(read);
            if began.elapsed() >= self.settings.batch_wait {
                break;
            }
        }
        // A rebalance during these polls may have taken partitions away.
        batch.retain(|read| self.group().epoch(read.record.position.partition) == Some(read.epoch));
        Ok(batch)
    }

    fn poll(&self, wait: Duration) -> Result<Option<Read>, KafkaError> {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => Ok(self.read(&message)),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => Err(error),
            // The group was told of every other error, and librdkafka goes on by itself.
            Some(Err(_)) | None => Ok(None),
        }
    }

    fn read(&self, message: &BorrowedMessage<'_>) -> Option<Read> {
        let epoch = self.group().epoch(message.partition())?;
        Some(Read { record: message::record(message, &self.topic), epoch })
    }

    /// Waits for the batch that is out, and keeps the membership meanwhile.
    fn wait(&mut self) -> Result<group::Batch, KafkaError> {
        let mut settled = self.group().settle(PATIENCE);
        if settled != group::Batch::Out {
            return Ok(settled);
        }
        while settled == group::Batch::Out {
            // Again each time, for partitions that a rebalance has brought.
            self.consumer.pause(&self.consumer.assignment()?)?;
            if let Some(read) = self.poll(PAUSED_POLL)? {
                self.held.push(read);
            }
            self.commit();
            settled = self.group().settle(Duration::ZERO);
        }
        self.consumer.resume(&self.consumer.assignment()?)?;
        Ok(settled)
    }
}
