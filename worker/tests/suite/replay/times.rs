//! Times and what is kept, on Apache Kafka: the in-process cluster knows neither.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
};
use signal_harness::{Kafka, require};
use signal_wire::timestamp;
use signal_worker::{
    consume::range::Topic,
    replay::{Display, Report, replay},
};
use time::OffsetDateTime;

use super::{Attempt, assert_finished, events};
use crate::{
    fixture::Fixture,
    kafka::{Cluster, SOON, event, settings},
};

struct Scene {
    brokers: String,
    topic: String,
    fixture: Fixture,
}

impl Scene {
    async fn new() -> Self {
        let kafka = Kafka::shared().await;
        let topic = kafka.topic("replay", 2).await;
        Self { brokers: kafka.brokers(), topic, fixture: Fixture::sqlite().await }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// A record for Ann, produced at that time.
    async fn produce(&self, partition: i32, id: &str, at: OffsetDateTime) {
        let producer: FutureProducer = self.client().create().unwrap();
        let value = event(id, &["ann"]);
        let ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let record: FutureRecord<'_, (), _> = FutureRecord::to(&self.topic).partition(partition).payload(&value);
        producer.send(record.timestamp(ms), SOON).await.unwrap();
    }

    async fn run(&self, args: &[&str]) -> Report {
        // The cluster of an attempt is the one that its topic is on.
        let nobody = Cluster::without_topic();
        let mut attempt = Attempt::new(&nobody, Arc::clone(&self.fixture.store), args);
        attempt.parts.topic = Topic::open(&settings(&self.brokers), &self.topic.parse().unwrap()).unwrap();
        attempt.parts.display = Display::Nothing;
        let report = replay(&attempt.parts, &attempt.asked).await.unwrap();
        assert_finished(&report);
        report
    }
}

fn at(text: &str) -> OffsetDateTime {
    timestamp::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_time_is_that_of_the_records_and_so_are_its_rows() {
    require!(Kafka);
    let scene = Scene::new().await;
    let now = OffsetDateTime::now_utc();
    let times = [
        (0, "a", at("2026-01-01T10:00:00Z")),
        (1, "b", at("2026-01-01T11:00:00.500Z")),
        (0, "c", at("2026-01-01T12:00:00Z")),
        (1, "d", at("2026-01-02T00:00:00Z")),
        (0, "e", now - Duration::from_secs(90 * 60)),
        (1, "f", now - Duration::from_secs(30 * 60)),
    ];
    for (partition, id, at) in times {
        scene.produce(partition, id, at).await;
    }
    for (from, to, expected) in [
        ("2026-01-01T10:00:00.001Z", "2026-01-01T12:00:00Z", "b"),
        ("2026-01-01T11:00:00.5Z", "2026-01-01T19:00:00.001+07:00", "bc"),
        ("2026-01-01", "2026-01-02", "abc"),
        ("2026-01-02", "2h", "abcd"),
        ("2h", "1h", "abcde"),
        ("45m", "end", "abcdef"),
    ] {
        scene.run(&["--from", from, "--to", to]).await;
        assert_eq!(events(&scene.fixture).await.concat(), expected, "{from} to {to}");
    }
    assert_eq!(scene.run(&["--from", "2026-01-01"]).await.existing, 6);
    let rows = r#"SELECT created_at FROM "ActivityNotification" ORDER BY event_id"#;
    assert_eq!(scene.fixture.texts(rows).await, times.map(|(_, _, at)| timestamp::format(at)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_from_the_topic_is_said() {
    require!(Kafka);
    let scene = Scene::new().await;
    for id in ["a", "b", "c", "d"] {
        scene.produce(0, id, at("2026-01-01T10:00:00Z")).await;
    }
    let admin: AdminClient<DefaultClientContext> = scene.client().create().unwrap();
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(&scene.topic, 0, Offset::Offset(2)).unwrap();
    admin.delete_records(&before, &AdminOptions::new()).await.unwrap();

    for (from, note) in [
        ("0:1", "partition 0: offsets 1 to 1 are no longer kept"),
        ("2026-01-01", "partition 0: nothing before offset 2 is kept"),
        ("beginning", "partition 0: nothing before offset 2 is kept"),
    ] {
        let report = scene.run(&["--from", from]).await;
        assert_eq!((report.read, report.json()["notes"].clone()), (2, serde_json::json!([note])), "{from}");
    }
    assert_eq!(events(&scene.fixture).await, ["c", "d"]);
}
