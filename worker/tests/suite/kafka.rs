//! librdkafka's in-process cluster, a producer, and a worker on it.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use signal_harness::eventually;
use signal_service::{
    health::Health,
    settings::{Source, parse},
    shutdown::{Drain, Shutdown},
};
use signal_worker::{
    app::{self, Parts, StartError},
    config::Cli,
    consume::{ConsumeSettings, range::Topic},
    dead_letters::letter::Letter,
    record::Record,
    store::Store,
};

use crate::bus::TestBus;

pub(crate) const TOPIC: &str = "SIGNAL_ACTIVITY_NOTIFICATION";
pub(crate) const DEAD_LETTERS: &str = "SIGNAL_ACTIVITY_NOTIFICATION.DLQ";
/// The in-process cluster lets a group that has had members wait for a session's length before it elects again.
const MOCK_PROPERTIES: &str = "session.timeout.ms=3000,heartbeat.interval.ms=500";
/// Long enough for a session to be timed out on a busy machine; nothing waits for it when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(40);

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    brokers: String,
}

impl Cluster {
    pub(crate) fn without_topic() -> Self {
        let mock = MockCluster::new(1).unwrap();
        let brokers = mock.bootstrap_servers();
        Self { mock, brokers }
    }

    pub(crate) fn new(partitions: i32) -> Self {
        let cluster = Self::without_topic();
        cluster.mock.create_topic(TOPIC, partitions, 1).unwrap();
        cluster.mock.create_topic(DEAD_LETTERS, 1, 1).unwrap();
        cluster
    }

    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    pub(crate) async fn produce(&self, values: impl IntoIterator<Item = (i32, Vec<u8>)>) {
        let producer: FutureProducer = self.client().create().unwrap();
        for (partition, value) in values {
            let record: FutureRecord<'_, (), _> = FutureRecord::to(TOPIC).partition(partition).payload(&value);
            producer.send(record, SOON).await.unwrap();
        }
    }

    /// Produces records as they are to be found, to their own topic and partition.
    pub(crate) async fn produce_records(&self, records: &[Record]) {
        // Larger than a worker takes; whether a topic does is for the broker to say.
        let producer: FutureProducer = self.client().set("message.max.bytes", "10000000").create().unwrap();
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            let mut message: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&record.position.topic);
            message.partition = Some(record.position.partition);
            (message.key, message.payload) = (record.key.as_deref(), record.value.as_deref());
            message.headers = Some(headers);
            message.timestamp =
                record.timestamp.map(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap());
            let delivery = producer.send(message, SOON).await.unwrap();
            assert_eq!(delivery.offset, record.position.offset);
        }
    }

    /// All dead letters, by partition and offset.
    pub(crate) async fn letters(&self) -> Vec<Letter> {
        let topic = Topic::open(&settings(&self.brokers), &DEAD_LETTERS.parse().unwrap()).unwrap();
        let mut records = topic.read(&topic.whole().await.unwrap()).unwrap();
        let mut letters = Vec::new();
        while let Some(batch) = records.next().await.unwrap() {
            letters.extend(batch.into_iter().map(Letter::read));
        }
        letters.sort_by_key(|letter| (letter.record.position.partition, letter.record.position.offset));
        letters
    }

    /// What the group has committed, by partition; 0 where nothing is.
    pub(crate) fn committed(&self, partitions: i32) -> Vec<i64> {
        let mut config = self.client();
        config.set("group.id", "signal");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(TOPIC, 0, partitions - 1);
        let committed = consumer.committed_offsets(list, SOON).unwrap();
        let offset = |partition| match committed.find_partition(TOPIC, partition).unwrap().offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        };
        (0..partitions).map(offset).collect()
    }

    pub(crate) fn worker(&self, bus: &Arc<TestBus>, store: Arc<dyn Store>) -> Worker {
        Worker::start(&self.brokers, MOCK_PROPERTIES, bus, store)
    }

    pub(crate) fn worker_from_the_beginning(&self, bus: &Arc<TestBus>, store: Arc<dyn Store>) -> Worker {
        let variables = [
            ("SIGNAL_KAFKA_BROKERS", self.brokers()),
            ("SIGNAL_KAFKA_PROPERTIES", MOCK_PROPERTIES),
            ("SIGNAL_KAFKA_OFFSET_RESET", "earliest"),
        ];
        Worker::try_start(&variables, bus, store).unwrap()
    }
}

pub(crate) struct Worker {
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
}

impl Worker {
    pub(crate) fn start(brokers: &str, properties: &str, bus: &Arc<TestBus>, store: Arc<dyn Store>) -> Self {
        let variables = [("SIGNAL_KAFKA_BROKERS", brokers), ("SIGNAL_KAFKA_PROPERTIES", properties)];
        Self::try_start(&variables, bus, store).unwrap()
    }

    pub(crate) fn try_start(
        variables: &[(&str, &str)],
        bus: &Arc<TestBus>,
        store: Arc<dyn Store>,
    ) -> Result<Self, StartError> {
        let source: Source = variables.iter().copied().collect();
        let cli: Cli = parse(["signal-worker"], &source).unwrap();
        let (health, shutdown) = (Health::new(), Shutdown::new(SOON));
        let parts = Parts {
            bus: Arc::clone(bus) as _,
            store,
            health: health.clone(),
            shutdown: shutdown.clone(),
            broker_id: None,
        };
        app::start(&cli.settings.pipeline, parts)?;
        Ok(Self { health, shutdown })
    }

    pub(crate) async fn ready(&self) {
        eventually(SOON, || async { self.health.is_ready() }).await;
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        assert_eq!(self.shutdown.drain().await, Drain::Finished);
    }
}

/// What a reader of these brokers needs, and a consumer besides.
pub(crate) fn settings(brokers: &str) -> ConsumeSettings {
    let source: Source = [("SIGNAL_KAFKA_BROKERS", brokers)].into_iter().collect();
    let cli: Cli = parse(["signal-worker"], &source).unwrap();
    cli.settings.pipeline.consume().unwrap()
}

pub(crate) fn event(id: &str, users: &[&str]) -> Vec<u8> {
    let event: Value = json!({
        "id": id, "type": "PAYMENT_SUCCESS", "userIds": users, "data": { "amount": "5", "currency": "USD" }
    });
    serde_json::to_vec(&event).unwrap()
}
