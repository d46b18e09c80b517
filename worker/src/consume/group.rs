//! Membership of the consumer group: what librdkafka calls back about, all of it from the consumer's own thread.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    topic_partition_list::TopicPartitionListElem,
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use signal_service::health::Component;
use time::OffsetDateTime;

use super::{
    OffsetReset,
    log::log,
    offsets::{Ledger, Mark},
};
use crate::metrics;

/// How long a partition that is taken away waits for the batch that is out. Past it the batch's records of that
/// partition are the next owner's, who finds their rows.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Members that start together begin within this of each other.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Group {
    topic: Arc<str>,
    reset: OffsetReset,
    health: Component,
    ledger: Mutex<Ledger>,
    in_flight: Mutex<Option<InFlight>>,
    state: Mutex<State>,
}

/// The batch that is out.
struct InFlight {
    done: mpsc::Receiver<()>,
    marks: Vec<Mark>,
}

#[derive(Default)]
struct State {
    joined: bool,
    topic_missing: bool,
    /// What the brokers did not like: of them all being down, which follows, it is the reason.
    refusal: Option<String>,
}

/// How it stands with the batch that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batch {
    None,
    Out,
    /// Dropped undone: the pipeline has stopped.
    Abandoned,
}

impl Group {
    pub(super) fn new(topic: Arc<str>, reset: OffsetReset, health: Component) -> Self {
        let (ledger, in_flight, state) = (Mutex::default(), Mutex::new(None), Mutex::default());
        Self { topic, reset, health, ledger, in_flight, state }
    }

    pub(super) fn epoch(&self, partition: i32) -> Option<u64> {
        self.ledger.lock().epoch(partition)
    }

    pub(super) fn begin(&self, done: mpsc::Receiver<()>, marks: Vec<Mark>) {
        *self.in_flight.lock() = Some(InFlight { done, marks });
    }

    /// Waits for the batch that is out.
    pub(super) fn settle(&self, wait: Duration) -> Batch {
        let mut slot = self.in_flight.lock();
        let Some(in_flight) = &*slot else { return Batch::None };
        let settled = match in_flight.done.recv_timeout(wait) {
            Ok(()) => {
                self.ledger.lock().done(&in_flight.marks);
                Batch::None
            }
            Err(mpsc::RecvTimeoutError::Timeout) => return Batch::Out,
            Err(mpsc::RecvTimeoutError::Disconnected) => Batch::Abandoned,
        };
        *slot = None;
        settled
    }

    /// Commits what is done and was not committed yet. Nobody waits for the answer: while a coordinator is away that
    /// would take minutes in which nothing is polled. Statistics tell what has arrived.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>) {
        let offsets = self.ledger.lock().take_unsent();
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, next) in offsets {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(next))
                .expect("an offset behind a record can be written");
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Async) {
            tracing::warn!(%error, "offsets can't be committed");
        }
    }

    /// The last commit before partitions go. librdkafka lets them go, and leaves the group, only behind it.
    pub(super) fn commit_last(&self, consumer: &BaseConsumer<Self>) {
        self.ledger.lock().doubt_all();
        self.commit(consumer);
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> KafkaResult<()> {
        let first = self.pin(consumer, partitions);
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions)?,
            _ => consumer.assign(partitions)?,
        }
        self.ledger.lock().assign(numbers(partitions), &first);
        *self.state.lock() = State { joined: true, ..State::default() };
        self.health.up();
        Ok(())
    }

    /// Gives partitions for which the group has never committed an offset to begin at, and returns them: they are to
    /// be committed. Without that, "latest" would be decided anew at every start until the first record: whatever
    /// came in between would be skipped.
    ///
    /// Where the group begins is decided once, for all partitions that there are, whoever is given them later. One that
    /// comes to be afterwards is read from its first record, which is younger than the group.
    fn pin(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> Vec<(i32, i64)> {
        let complain = |error: &KafkaError| {
            tracing::warn!(%error, "committed offsets can't be read, beginning by the reset policy");
        };
        let Ok(standing) = self.standing(consumer).inspect_err(complain) else { return Vec::new() };
        let first_of_all = standing.iter().all(|(_, committed)| committed.is_none());
        let assigned = numbers(partitions);
        let fresh = standing.iter().filter(|(_, committed)| committed.is_none()).map(|(partition, _)| *partition);
        let (ours, others): (Vec<i32>, Vec<i32>) = fresh.partition(|partition| assigned.contains(partition));
        let latest = first_of_all && self.reset == OffsetReset::Latest;
        let pin = |partition: i32| {
            let (low, high) = consumer.fetch_watermarks(&self.topic, partition, LOOKUP_TIMEOUT)?;
            let at = if latest { high } else { low };
            tracing::info!(partition, offset = at, "the group begins");
            Ok::<_, KafkaError>((partition, at))
        };
        let complain = |error: &KafkaError| {
            tracing::warn!(%error, "the end of a partition can't be read, beginning by the reset policy");
        };
        let pinned: Vec<(i32, i64)> = ours.into_iter().filter_map(|one| pin(one).inspect_err(complain).ok()).collect();
        for (partition, at) in &pinned {
            partitions
                .set_partition_offset(&self.topic, *partition, Offset::Offset(*at))
                .expect("an assigned partition takes an offset");
        }
        if latest && !others.is_empty() {
            let begun = self.begin_for(consumer, &others);
            begun.unwrap_or_else(|error| tracing::warn!(%error, "where the group begins can't be committed"));
        }
        pinned
    }

    /// What the group has committed of each partition of the topic.
    fn standing(&self, consumer: &BaseConsumer<Self>) -> KafkaResult<Vec<(i32, Option<i64>)>> {
        let metadata = consumer.fetch_metadata(Some(&self.topic), LOOKUP_TIMEOUT)?;
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            all.add_partition(&self.topic, partition.id());
        }
        let committed = consumer.committed_offsets(all, LOOKUP_TIMEOUT)?;
        let one = |element: &TopicPartitionListElem<'_>| {
            // What can't be read is not the same as nothing.
            element.error()?;
            Ok(match element.offset() {
                Offset::Offset(offset) => (element.partition(), Some(offset)),
                _ => (element.partition(), None),
            })
        };
        committed.elements().iter().map(one).collect()
    }

    /// Commits that the group has begun with partitions that are not this member's. Somewhat earlier than now: their
    /// members may have begun by themselves a moment ago, and what they have read since must not be passed over.
    fn begin_for(&self, consumer: &BaseConsumer<Self>, others: &[i32]) -> KafkaResult<()> {
        let earlier = OffsetDateTime::now_utc() - BEGUN_WITHIN;
        let ms = i64::try_from(earlier.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let mut times = TopicPartitionList::with_capacity(others.len());
        for partition in others {
            times.add_partition_offset(&self.topic, *partition, Offset::Offset(ms))?;
        }
        let mut begun = TopicPartitionList::with_capacity(others.len());
        for element in consumer.offsets_for_times(times, LOOKUP_TIMEOUT)?.elements() {
            element.error()?;
            let at = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => consumer.fetch_watermarks(&self.topic, element.partition(), LOOKUP_TIMEOUT)?.1,
            };
            begun.add_partition_offset(&self.topic, element.partition(), Offset::Offset(at))?;
        }
        consumer.commit(&begun, CommitMode::Async)
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        // Partitions that were lost are somebody else's by now: nothing of them may be committed.
        if !consumer.assignment_lost() {
            self.settle(REVOKE_PATIENCE);
            self.commit_last(consumer);
        }
        self.ledger.lock().revoke(numbers(partitions));
        // Its next owner reports on it.
        numbers(partitions).into_iter().for_each(|partition| metrics::lag(partition, 0));
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
            _ => consumer.unassign(),
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(|element| element.partition()).collect()
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assign = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let result = if assign { self.assigned(consumer, partitions) } else { self.revoked(consumer, partitions) };
        if let Err(error) = result {
            tracing::error!(%error, assign, "rebalance failed");
        }
        let owned = self.ledger.lock().len();
        metrics::rebalance(owned);
        tracing::info!(assign, partitions = ?numbers(partitions), owned, "partitions changed hands");
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                self.state.lock().topic_missing = true;
                self.health.down(format!("the topic {} does not exist", self.topic));
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let refusal = self.state.lock().refusal.clone();
                self.health.down(refusal.unwrap_or_else(|| "no broker can be reached".to_owned()));
            }
            // One broker of several; if it was the last, the error above follows.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                tracing::debug!(reason, "a broker can't be reached");
            }
            Some(
                RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL,
            ) => {
                self.state.lock().refusal = Some(reason.to_owned());
                self.health.down(reason);
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed) => {
                self.health.down(reason);
            }
            _ => tracing::warn!(%error, reason, "the Kafka client reports an error"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.get(&*self.topic).map(|topic| topic.partitions.values());
        for partition in partitions.into_iter().flatten() {
            if self.epoch(partition.partition).is_some() {
                metrics::lag(partition.partition, partition.consumer_lag.max(0));
            }
            if self.ledger.lock().observe(partition.partition, partition.committed_offset) {
                metrics::commit_failure();
                tracing::warn!(partition = partition.partition, "offsets were not committed, trying again");
            }
        }
        let mut state = self.state.lock();
        if state.joined && !state.topic_missing && statistics.brokers.values().any(|broker| broker.state == "UP") {
            state.refusal = None;
            self.health.up();
        }
    }
}
