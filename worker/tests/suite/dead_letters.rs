//! Records that can't be handled, kept on the in-process cluster: nothing is lost for lack of a place for them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use signal_harness::{Kcat, eventually, require};
use signal_service::health::Health;
use signal_wire::{activity::Malformed, timestamp};
use signal_worker::{
    dead_letters::{
        DeadLetters, Stopped,
        letter::{LeftOut, Letter},
        producer::DeadLetterTopic,
    },
    record::{Position, Record},
    rejection::{Rejected, Rejection},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::TestBus,
    fixture::Fixture,
    kafka::{Cluster, DEAD_LETTERS, SOON, TOPIC, Worker, event, settings},
};

const UNKNOWN_TOPIC: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
const NO_ERROR: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

fn bytes(bytes: &'static [u8]) -> Option<Bytes> {
    Some(Bytes::from_static(bytes))
}

/// As it is to be found at that offset of the only partition.
fn record(offset: i64, key: Option<Bytes>, value: Option<Bytes>, headers: &[(&str, Option<Bytes>)]) -> Record {
    Record {
        position: Position { topic: TOPIC.into(), partition: 0, offset },
        key,
        value,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        timestamp: timestamp::parse(&format!("2026-11-23T08:51:04.{:03}Z", offset + 1)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_has_its_record_to_the_byte_and_the_others_have_rows() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    let good = |offset, id: &str| record(offset, bytes(b"m"), Some(event(id, &["ann"]).into()), &[]);
    let headers = [
        ("traceparent", bytes(b"00-1-2-03")),
        ("twice", bytes(b"1")),
        ("", bytes(b"no name")),
        ("twice", None),
        ("Ph\u{ea}", bytes(b"")),
        ("binary", bytes(b"\0\xff,=\n")),
        ("__connect.errors.topic", bytes(b"an earlier fate")),
    ];
    let records = [
        good(0, "evt-1"),
        record(1, bytes(b"\xff\0key"), bytes(b"{\"type\":\0\xfe"), &headers),
        record(2, None, None, &[]),
        good(3, "evt-2"),
        record(4, bytes(b""), bytes(b""), &[("a", None)]),
        record(5, None, Some(Bytes::from(vec![b' '; 1024 * 1024 + 1])), &[]),
        good(6, "evt-3"),
    ];
    cluster.produce_records(&records).await;
    let worker = cluster.worker_from_the_beginning(&bus, Arc::clone(&fixture.store));
    eventually(SOON, || async { cluster.committed(1) == [7] }).await;
    worker.stop().await;

    let letters = cluster.letters().await;
    let restored: Vec<Record> = letters.iter().map(|letter| letter.restored().unwrap()).collect();
    assert_eq!(restored, [1, 2, 4, 5].map(|at| records[at].clone()));
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["not_json", "empty", "empty", "too_large"]);
    for letter in &letters {
        let own = records[usize::try_from(letter.origin.as_ref().unwrap().offset).unwrap()].headers.len();
        let added: Vec<_> = letter.record.headers[own..].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            added,
            [
                "__connect.errors.topic",
                "__connect.errors.partition",
                "__connect.errors.offset",
                "__connect.errors.exception.class.name",
                "__connect.errors.exception.message"
            ]
        );
    }
    assert_eq!(fixture.count("ActivityNotification").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_not_text_stops_nobody() {
    require!(Kcat);
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    let record = |value: &[u8]| signal_harness::Record::new(value).header([b'a', 0xff], "1").header("b", [0xff]);
    Kcat::produce(cluster.brokers(), TOPIC, &record(b"{")).await;
    Kcat::produce(cluster.brokers(), TOPIC, &record(&event("evt-1", &["ann"]))).await;
    let worker = cluster.worker_from_the_beginning(&bus, Arc::clone(&fixture.store));
    eventually(SOON, || async { cluster.committed(1) == [2] }).await;
    worker.stop().await;
    assert_eq!(fixture.count("ActivityNotification").await, 1);
    let letter = cluster.letters().await.remove(0);
    // What Java's clients make of it.
    let headers = [("a\u{fffd}".to_owned(), bytes(b"1")), ("b".to_owned(), bytes(b"\xff"))];
    assert_eq!(letter.restored().unwrap().headers, headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_topic_for_them_offsets_stay_and_nothing_is_lost() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    cluster.mock.topic_error(DEAD_LETTERS, UNKNOWN_TOPIC).unwrap();
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    cluster.produce([(0, event("evt-1", &["ann"])), (0, b"{".to_vec()), (0, event("evt-2", &["ann"]))]).await;
    let says_so = || async {
        let status = worker.health.status("dead_letters").unwrap();
        let reason = status.reason.unwrap_or_default();
        if !status.up && reason.contains(DEAD_LETTERS) && reason.contains("does not exist") {
            Ok(())
        } else {
            Err(reason)
        }
    };
    eventually(SOON, says_so).await;
    // Those beside it have been written by then, since letters come last; what comes now waits behind it.
    assert!(fixture.count("ActivityNotification").await >= 1);
    cluster.produce([(0, event("evt-3", &["ann"]))]).await;
    assert!(!worker.health.is_ready());
    assert!(cluster.committed(1)[0] <= 1, "the first may have been a batch of its own");

    cluster.mock.topic_error(DEAD_LETTERS, NO_ERROR).unwrap();
    eventually(SOON, || async { cluster.committed(1) == [4] }).await;
    worker.ready().await;
    worker.stop().await;
    let letters = cluster.letters().await;
    assert_eq!(letters.iter().map(|letter| letter.origin.as_ref().unwrap().offset).collect::<Vec<_>>(), [1]);
    assert_eq!(fixture.count("ActivityNotification").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_the_topic_and_the_next_worker_keeps_the_letter() {
    let (fixture, bus, cluster) = (Fixture::sqlite().await, TestBus::new(), Cluster::new(1));
    cluster.mock.topic_error(DEAD_LETTERS, UNKNOWN_TOPIC).unwrap();
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    worker.ready().await;
    cluster.produce([(0, b"{".to_vec())]).await;
    eventually(SOON, || async { !worker.health.status("dead_letters").unwrap().up }).await;
    tokio::time::timeout(SOON / 2, worker.stop()).await.expect("long before the deadline of the drain");
    assert_eq!(cluster.committed(1), [0]);

    cluster.mock.topic_error(DEAD_LETTERS, NO_ERROR).unwrap();
    let worker = cluster.worker(&bus, Arc::clone(&fixture.store));
    eventually(SOON, || async { cluster.committed(1) == [1] }).await;
    worker.stop().await;
    assert_eq!(cluster.letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_and_records_on_one_topic_are_refused_at_the_start() {
    let (fixture, bus) = (Fixture::sqlite().await, TestBus::new());
    let variables = [("SIGNAL_KAFKA_BROKERS", "127.0.0.1:1"), ("SIGNAL_KAFKA_DEAD_LETTER_TOPIC", TOPIC)];
    let error = Worker::try_start(&variables, &bus, Arc::clone(&fixture.store)).err().unwrap();
    assert!(error.to_string().contains("SIGNAL_KAFKA_DEAD_LETTER_TOPIC"), "{error}");
}

/// The topic alone, without a worker.
struct Bench {
    health: Health,
    stop: CancellationToken,
    topic: Arc<DeadLetterTopic>,
}

impl Bench {
    fn new(cluster: &Cluster) -> Self {
        let (health, stop) = (Health::new(), CancellationToken::new());
        let name = DEAD_LETTERS.parse().unwrap();
        let component = health.component("dead_letters");
        let topic = DeadLetterTopic::open(&settings(cluster.brokers()), &name, component, stop.clone()).unwrap();
        Self { health, stop, topic: Arc::new(topic) }
    }

    fn keep(&self, rejected: Vec<Rejected>) -> tokio::task::JoinHandle<Result<(), Stopped>> {
        let topic = Arc::clone(&self.topic);
        tokio::spawn(async move { topic.keep(&rejected).await })
    }

    async fn waits(&self) -> String {
        let reason = || async { self.health.status("dead_letters").filter(|status| !status.up)?.reason };
        eventually(SOON, reason).await
    }
}

fn rejected(offset: i64) -> Rejected {
    let record = record(offset, bytes(b"key"), bytes(b"{"), &[("a", bytes(b"1"))]);
    Rejected { record, rejection: Rejection::Malformed(Malformed::NotJson) }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_broker_answers_letters_wait_and_then_are_there_once() {
    let cluster = Cluster::new(1);
    let bench = Bench::new(&cluster);
    bench.keep(vec![rejected(0)]).await.unwrap().unwrap();
    cluster.mock.broker_down(-1).unwrap();
    let keeping = bench.keep((1..2500).map(rejected).collect());
    bench.waits().await;
    assert!(!keeping.is_finished());
    cluster.mock.broker_up(-1).unwrap();
    keeping.await.unwrap().unwrap();
    assert!(bench.health.is_ready());
    let mut offsets: Vec<_> =
        cluster.letters().await.iter().map(|letter| letter.origin.as_ref().unwrap().offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..2500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_waiting() {
    let cluster = Cluster::new(1);
    cluster.mock.broker_down(-1).unwrap();
    let bench = Bench::new(&cluster);
    let keeping = bench.keep(vec![rejected(0)]);
    bench.waits().await;
    bench.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), keeping).await.expect("at once").unwrap();
    assert_eq!(ended, Err(Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_write_the_topic_says_so_and_waits() {
    let cluster = Cluster::new(1);
    let bench = Bench::new(&cluster);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.mock.topic_error(DEAD_LETTERS, denied).unwrap();
    let keeping = bench.keep(vec![rejected(0)]);
    let reason = bench.waits().await;
    assert!(reason.contains("may not write") && reason.contains(DEAD_LETTERS), "{reason}");
    cluster.mock.topic_error(DEAD_LETTERS, NO_ERROR).unwrap();
    keeping.await.unwrap().unwrap();
    assert_eq!(cluster.letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_librdkafka_has_given_up_is_made_anew() {
    let cluster = Cluster::new(1);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    // Older clusters want a right of its own for idempotent writes.
    cluster.mock.request_errors(RDKafkaApiKey::InitProducerId, &[denied]);
    let bench = Bench::new(&cluster);
    bench.keep(vec![rejected(0), rejected(1)]).await.unwrap().unwrap();
    assert_eq!(cluster.letters().await.len(), 2);
}

async fn refused(errors: &[RDKafkaRespErr]) -> (Rejected, Letter) {
    let cluster = Cluster::new(1);
    let bench = Bench::new(&cluster);
    cluster.mock.request_errors(RDKafkaApiKey::Produce, errors);
    let rejected = rejected(7);
    bench.keep(vec![rejected.clone()]).await.unwrap().unwrap();
    let letter = cluster.letters().await.remove(0);
    assert_eq!(letter.origin.as_ref(), Some(&rejected.record.position));
    (rejected, letter)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_the_topic_is_left_out_and_never_waited_for() {
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    let (of, letter) = refused(&[too_large]).await;
    assert_eq!(letter.restored(), Some(of.record), "it was too large together with others");
    let (of, letter) = refused(&[too_large; 2]).await;
    assert_eq!((letter.left_out, &letter.record.value), (LeftOut::Value, &None));
    assert_eq!(letter.record.key, of.record.key);
    assert_eq!(letter.record.header("__signal.errors.value.bytes"), Some(&b"1"[..]));
    assert_eq!(letter.restored().unwrap().headers, of.record.headers);
    let (_, letter) = refused(&[too_large; 3]).await;
    assert_eq!((letter.left_out, &letter.record.key), (LeftOut::Everything, &None));
    assert_eq!(letter.restored().unwrap().headers, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_topic_does_not_take_is_written_down_instead() {
    let (of, letter) = refused(&[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP]).await;
    assert_eq!(letter.record.header("__signal.errors.timestamp"), Some(&b"2026-11-23T08:51:04.008Z"[..]));
    assert_eq!((&letter.record.value, letter.left_out), (&of.record.value, LeftOut::Nothing));
    assert_ne!(letter.record.timestamp, of.record.timestamp);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_letters_together() {
    let cluster = Cluster::without_topic();
    cluster.mock.create_topic(DEAD_LETTERS, 4, 1).unwrap();
    let bench = Bench::new(&cluster);
    let of = |offset: i64| {
        let mut rejected = rejected(offset);
        rejected.record.key = Some(Bytes::from(format!("mer-{}", offset % 7)));
        rejected
    };
    for from in 0..10 {
        bench.keep((from * 10..from * 10 + 10).map(of).collect()).await.unwrap().unwrap();
    }
    let letters = cluster.letters().await;
    assert_eq!(letters.len(), 100);
    // Where Java's clients put these keys: Kafka's murmur2, without its sign, by the number of partitions.
    for (merchant, partition) in [0, 0, 2, 3, 2, 1, 2].into_iter().enumerate() {
        let key = Bytes::from(format!("mer-{merchant}"));
        let of_one: Vec<_> = letters.iter().filter(|letter| letter.record.key.as_ref() == Some(&key)).collect();
        assert!(of_one.iter().all(|letter| letter.record.position.partition == partition), "mer-{merchant}");
        assert!(of_one.is_sorted_by_key(|letter| letter.origin.as_ref().unwrap().offset), "in their order");
    }
}
