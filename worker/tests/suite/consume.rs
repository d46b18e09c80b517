//! The whole worker on librdkafka's in-process cluster, and once on the real thing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use signal_harness::{Kafka, Kcat, Postgres, Record, eventually, require};

use crate::{
    bus::TestBus,
    fixture::Fixture,
    interposed::Interposed,
    kafka::{Cluster, SOON, TOPIC, Worker, event},
};

async fn pushed(bus: &TestBus, count: usize) -> Vec<String> {
    let events = || async { Some(bus.pushes()).filter(|pushes| pushes.len() >= count).ok_or(bus.pushes().len()) };
    let pushes = eventually(SOON, events).await;
    pushes.into_iter().map(|(_, event)| event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_become_rows_and_pushes_and_offsets_follow() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    let values =
        [event("evt-1", &["ann", "bob"]), b"{".to_vec(), event("evt-1", &["ann", "bob"]), event("evt-2", &["ann"])];
    cluster.produce(values.map(|value| (0, value))).await;
    // The repeated event is pushed again, for its rows are there.
    assert_eq!(pushed(&bus, 5).await, ["evt-1", "evt-1", "evt-1", "evt-1", "evt-2"]);
    assert_eq!(fixture.count("ActivityNotification").await, 3);
    eventually(SOON, || async { cluster.committed(1) == [4] }).await;

    // Nobody reads, records come: the next worker has them, at once.
    worker.stop().await;
    cluster.produce([(0, event("evt-3", &["ann"]))]).await;
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    assert_eq!(pushed(&bus, 6).await[5], "evt-3");
    worker.stop().await;
    assert_eq!((cluster.committed(1), fixture.count("ActivityNotification").await), (vec![5], 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_decided_once() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    cluster.produce([(0, event("before", &["ann"]))]).await;
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    eventually(SOON, || async { cluster.committed(1) == [1] }).await;
    worker.stop().await;
    // The group has read nothing yet, but it has begun.
    cluster.produce([(0, event("meanwhile", &["ann"]))]).await;
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    assert_eq!(pushed(&bus, 1).await, ["meanwhile"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_offsets_stay_and_nothing_is_skipped() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(2));
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let worker = cluster.worker(&bus, Arc::clone(&store) as _);
    worker.ready().await;
    store.set_away(true);
    let names: Vec<String> = (0..40).map(|n| format!("evt-{n:02}")).collect();
    let some = |range: std::ops::Range<usize>| {
        names[range].iter().enumerate().map(|(n, name)| ((n % 2) as i32, event(name, &["ann"]))).collect::<Vec<_>>()
    };
    cluster.produce(some(0..10)).await;
    eventually(SOON, || async { store.inserts() >= 5 }).await;
    assert!(!worker.health.is_ready());
    // By now the partitions are paused; these come on top.
    cluster.produce(some(10..40)).await;
    assert_eq!(cluster.committed(2), [0, 0]);

    store.set_away(false);
    let events = pushed(&bus, 40).await;
    assert_eq!(events.iter().collect::<BTreeSet<_>>(), names.iter().collect(), "all");
    assert_eq!(events.len(), 40, "each once");
    for parity in 0..2 {
        let of = |event: &&String| event[4..].parse::<usize>().unwrap() % 2 == parity;
        let partition: Vec<_> = events.iter().filter(of).collect();
        assert!(partition.is_sorted(), "{partition:?}");
    }
    eventually(SOON, || async { cluster.committed(2) == [20, 20] }).await;
    worker.ready().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_a_stop_cuts_off_is_read_again() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let worker = cluster.worker(&bus, Arc::clone(&store) as _);
    worker.ready().await;
    store.set_away(true);
    cluster.produce([(0, event("evt-1", &["ann"]))]).await;
    eventually(SOON, || async { store.inserts() >= 1 }).await;
    worker.stop().await;
    assert_eq!(cluster.committed(1), [0]);

    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    assert_eq!(pushed(&bus, 1).await, ["evt-1"]);
    worker.stop().await;
    assert_eq!(cluster.committed(1), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_move_while_the_backplane_is_away() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    bus.set_away(true);
    cluster.produce([(0, event("evt-1", &["ann"]))]).await;
    eventually(SOON, || async { cluster.committed(1) == [1] }).await;
    assert_eq!(fixture.count("ActivityNotification").await, 1);
    bus.set_away(false);
    let resync = || async { bus.said().iter().any(|said| said.event == "resync" && said.channel.ends_with("/ann")) };
    eventually(SOON, resync).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_the_partitions_and_hand_them_over() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(4));
    let first = cluster.worker(&bus, Arc::clone(&fixture.store));
    first.ready().await;
    let names: Vec<String> = (0..200).map(|n| format!("evt-{n:03}")).collect();
    let some = |range: std::ops::Range<usize>| {
        names[range].iter().enumerate().map(|(n, name)| ((n % 4) as i32, event(name, &["ann"]))).collect::<Vec<_>>()
    };
    cluster.produce(some(0..100)).await;
    let second = cluster.worker(&bus, Arc::clone(&fixture.store));
    second.ready().await;
    cluster.produce(some(100..160)).await;
    first.stop().await;
    cluster.produce(some(160..200)).await;
    let all = || async {
        let events: BTreeSet<String> = bus.pushes().into_iter().map(|(_, event)| event).collect();
        events.len() == 200
    };
    eventually(SOON, all).await;
    assert_eq!(fixture.count("ActivityNotification").await, 200);
    second.stop().await;
    assert_eq!(cluster.committed(4), [50; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_later_is_found() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::without_topic());
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    let says_so = || async {
        let reason = worker.health.status("kafka").and_then(|status| status.reason).unwrap_or_default();
        if reason.contains(TOPIC) { Ok(()) } else { Err(reason) }
    };
    eventually(SOON, says_so).await;
    cluster.mock.create_topic(TOPIC, 1, 1).unwrap();
    worker.ready().await;
    cluster.produce([(0, event("evt-1", &["ann"]))]).await;
    assert_eq!(pushed(&bus, 1).await, ["evt-1"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_waited_for() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    cluster.mock.broker_down(-1).unwrap();
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    let is_down = || async {
        let status = worker.health.status("kafka").unwrap();
        (!status.up && status.reason.as_deref() != Some("starting")).then_some(())
    };
    eventually(SOON, is_down).await;
    cluster.mock.broker_up(-1).unwrap();
    worker.ready().await;
    cluster.produce([(0, event("evt-1", &["ann"]))]).await;
    assert_eq!(pushed(&bus, 1).await, ["evt-1"]);

    cluster.mock.broker_down(-1).unwrap();
    eventually(SOON, is_down).await;
    cluster.mock.broker_up(-1).unwrap();
    worker.ready().await;
    cluster.produce([(0, event("evt-2", &["ann"]))]).await;
    assert_eq!(pushed(&bus, 2).await, ["evt-1", "evt-2"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_any_broker_is_quick() {
    let (fixture, bus) = (Fixture::sqlite().await, TestBus::new());
    let nobody = format!("127.0.0.1:{}", signal_harness::free_port());
    let worker = Worker::start(&nobody, "", &bus, Arc::clone(&fixture.store));
    tokio::time::timeout(Duration::from_secs(10), worker.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_read_from_their_first_record() {
    require!(Kafka, Kcat);
    let kafka = Kafka::launch().await;
    kafka.create_topic(TOPIC, 1).await;
    let (fixture, bus) = (Fixture::sqlite().await, TestBus::new());
    let before = |partition| Record::new(event(&format!("before-{partition}"), &["ann"])).partition(partition);
    Kcat::produce(&kafka.brokers(), TOPIC, &before(0)).await;
    // By "latest", which is what the group begins with.
    let worker = Worker::start(&kafka.brokers(), "", &bus, Arc::clone(&fixture.store));
    worker.ready().await;
    kafka.create_partitions(TOPIC, 3).await;
    for partition in [1, 2] {
        Kcat::produce(&kafka.brokers(), TOPIC, &before(partition)).await;
    }
    let mut pushed = pushed(&bus, 2).await;
    pushed.sort();
    assert_eq!(pushed, ["before-1", "before-2"], "and what was there before the group is not read");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_apache_kafka_and_postgres() {
    require!(Kafka, Postgres);
    let kafka = Kafka::launch().await;
    kafka.create_topic(TOPIC, 2).await;
    let (fixture, bus) = (Fixture::postgres().await, TestBus::new());
    fixture.join("Merchant_m1", ["ann".to_owned(), "bob".to_owned()]).await;
    let worker = Worker::start(&kafka.brokers(), "", &bus, Arc::clone(&fixture.store));
    worker.ready().await;
    let value = br#"{"id":"evt-1","type":"PAYMENT_SUCCESS","merchantId":"m1","data":{"amount":"5","currency":"USD"}}"#;
    for _ in 0..2 {
        Kcat::produce(&kafka.brokers(), TOPIC, &Record::new(&value[..]).key("m1")).await;
    }
    assert_eq!(pushed(&bus, 4).await, ["evt-1"; 4]);
    assert_eq!(fixture.count("ActivityNotification").await, 2);

    kafka.stop().await;
    eventually(SOON, || async { !worker.health.is_ready() }).await;
    kafka.start().await;
    worker.ready().await;
    Kcat::produce(&kafka.brokers(), TOPIC, &Record::new(event("evt-2", &["ann"]))).await;
    assert_eq!(pushed(&bus, 5).await[4], "evt-2");
    worker.stop().await;
}
