//! Dead letters taken in again, on the in-process cluster and SQLite.

use std::sync::Arc;

use bytes::Bytes;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use signal_harness::eventually;
use signal_service::health::Health;
use signal_wire::activity::Malformed;
use signal_worker::{
    consume::range::Topic,
    dead_letters::{
        letter::{LeftOut, compose},
        retry::{Outcome, Retry},
        selection::Selection,
    },
    record::{Position, Record},
    rejection::Rejected,
    store::{Store, patient::Patient},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bus::TestBus,
    fixture::{Fixture, people},
    interposed::Interposed,
    kafka::{Cluster, DEAD_LETTERS, SOON, TOPIC, settings},
    pipeline::Bench,
};

const PICKY: &str = r#"CREATE TRIGGER picky BEFORE INSERT ON "ActivityNotification" WHEN new.recipient_id = 'user-004999'
    BEGIN SELECT RAISE(ABORT, 'picky'); END"#;

fn payment(scope: &Value) -> Vec<u8> {
    let mut event = json!({ "type": "PAYMENT_SUCCESS", "data": { "amount": "5", "currency": "USD" } });
    event.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
    serde_json::to_vec(&event).unwrap()
}

struct Desk {
    fixture: Fixture,
    cluster: Cluster,
    bench: Bench,
    stop: CancellationToken,
}

impl Desk {
    async fn new() -> Self {
        let fixture = Fixture::sqlite().await;
        let bench = Bench::new(Arc::clone(&fixture.store));
        Self { fixture, cluster: Cluster::new(1), bench, stop: CancellationToken::new() }
    }

    /// Lets a worker handle the values, whatever becomes of them.
    async fn handle(&self, values: &[Vec<u8>]) {
        self.cluster.produce(values.iter().map(|value| (0, value.clone()))).await;
        let worker = self.cluster.worker_from_the_beginning(&TestBus::new(), Arc::clone(&self.fixture.store));
        let all = i64::try_from(values.len()).unwrap();
        eventually(SOON, || async { self.cluster.committed(1) == [all] }).await;
        worker.stop().await;
    }

    async fn retry(&self, selection: &Selection) -> (Outcome, String) {
        let open = |name: &str| Topic::open(&settings(self.cluster.brokers()), &name.parse().unwrap()).unwrap();
        let (dead_letters, origin) = (open(DEAD_LETTERS), open(TOPIC));
        let retry =
            Retry { dead_letters: &dead_letters, origin: &origin, pipeline: &self.bench.pipeline, stop: &self.stop };
        let mut out = Vec::new();
        let outcome = retry.run(selection, &mut out).await.unwrap();
        (outcome, String::from_utf8(out).unwrap())
    }

    async fn rows(&self) -> usize {
        self.fixture.count("ActivityNotification").await
    }
}

fn all() -> Selection {
    Selection::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_cause_brings_its_events_in_under_their_own_keys_and_twice_is_once() {
    let desk = Desk::new().await;
    desk.fixture.run(PICKY).await;
    let refused = payment(&json!({ "userIds": ["user-004999", "ann"] }));
    let unknown = br#"{"type":"REFUND","userIds":["ann"]}"#.to_vec();
    desk.handle(&[payment(&json!({ "userIds": ["bob"] })), refused, unknown, b"{".to_vec()]).await;
    assert_eq!((desk.rows().await, desk.cluster.letters().await.len()), (1, 3));

    let (before, said) = desk.retry(&all()).await;
    assert_eq!((before.selected, before.brought_in, before.failed), (3, 0, 3), "nothing is mended yet");
    assert!(!before.is_success());
    assert_eq!(
        said,
        "0:0  SIGNAL_ACTIVITY_NOTIFICATION/0/1  refused_by_database: the database refuses it (1811)\n\
         0:1  SIGNAL_ACTIVITY_NOTIFICATION/0/2  unknown_type: no event type `REFUND` is known here\n\
         0:2  SIGNAL_ACTIVITY_NOTIFICATION/0/3  not_json: the value is not JSON\n"
    );

    desk.fixture.run("DROP TRIGGER picky").await;
    let (outcome, _) = desk.retry(&all()).await;
    let expected = Outcome { selected: 3, brought_in: 1, inserted: 2, failed: 2, ..Outcome::default() };
    assert_eq!(outcome, expected);
    let rows = r#"SELECT event_id || ' ' || recipient_id FROM "ActivityNotification" ORDER BY 1"#;
    let rows_now = ["0/0 bob", "0/1 ann", "0/1 user-004999"].map(|row| format!("{TOPIC}/{row}"));
    assert_eq!(desk.fixture.texts(rows).await, rows_now);
    let pushed: Vec<_> = desk.bench.bus.pushes().into_iter().map(|(user, _)| user).collect();
    assert_eq!(pushed, ["user-004999", "ann"]);

    let (again, _) = desk.retry(&all()).await;
    assert_eq!((again.inserted, again.existing, again.brought_in), (0, 2, 1));
    assert_eq!(desk.fixture.texts(rows).await, rows_now);
    assert_eq!(desk.cluster.letters().await.len(), 3, "letters stay where they are, and none is added");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_that_was_written_in_part_is_completed() {
    let desk = Desk::new().await;
    desk.fixture.run(PICKY).await;
    desk.fixture.join("Merchant_big", people(0..5000)).await;
    desk.handle(&[payment(&json!({ "merchantId": "big" }))]).await;
    let written = desk.rows().await as u64;
    assert!(written > 0 && written < 5000, "{written}");
    desk.fixture.run("DROP TRIGGER picky").await;
    let (outcome, _) = desk.retry(&all()).await;
    assert_eq!((outcome.existing, outcome.inserted, outcome.failed), (written, 5000 - written, 0));
    assert!(outcome.is_success());
    assert_eq!(desk.rows().await, 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_too_large_for_its_letter_is_read_where_it_was() {
    let desk = Desk::new().await;
    desk.fixture.run(PICKY).await;
    let value = payment(&json!({ "userIds": ["user-004999"], "id": "evt-1" }));
    desk.cluster.produce([(0, value)]).await;
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    desk.cluster.mock.request_errors(RDKafkaApiKey::Produce, &[too_large; 3]);
    let worker = desk.cluster.worker_from_the_beginning(&TestBus::new(), Arc::clone(&desk.fixture.store));
    eventually(SOON, || async { desk.cluster.committed(1) == [1] }).await;
    worker.stop().await;
    let letter = desk.cluster.letters().await.remove(0);
    assert_eq!((letter.left_out, letter.record.value.clone()), (LeftOut::Everything, None));

    // And one whose record is gone, and one whose place another record has taken.
    for offset in [0, 77] {
        let position = Position { topic: TOPIC.into(), partition: 0, offset };
        let record =
            Record { position, key: None, value: Some(Bytes::from_static(b"{")), headers: Vec::new(), timestamp: None };
        let rejected = Rejected { record, rejection: Malformed::NotJson.into() };
        let mut record = compose(&rejected, LeftOut::Value, true);
        record.position =
            Position { topic: DEAD_LETTERS.into(), partition: 0, offset: if offset == 0 { 1 } else { 2 } };
        desk.cluster.produce_records(&[record]).await;
    }
    desk.fixture.run("DROP TRIGGER picky").await;
    let (outcome, said) = desk.retry(&all()).await;
    assert_eq!((outcome.inserted, outcome.brought_in, outcome.failed), (1, 1, 2), "{said}");
    assert_eq!(said.matches("its topic does not have it any more").count(), 2, "{said}");
    assert_eq!(desk.fixture.texts(r#"SELECT event_id FROM "ActivityNotification""#).await, ["evt-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_others_are_left_alone_unless_they_are_named() {
    let desk = Desk::new().await;
    let good = payment(&json!({ "userIds": ["ann"] }));
    let record = |offset, topic: &str| {
        let origin = Position { topic: topic.into(), partition: 0, offset: 3 };
        let record = Record {
            position: origin,
            key: None,
            value: Some(good.clone().into()),
            headers: Vec::new(),
            timestamp: None,
        };
        let mut letter = compose(&Rejected { record, rejection: Malformed::NotJson.into() }, LeftOut::Nothing, true);
        letter.position = Position { topic: DEAD_LETTERS.into(), partition: 0, offset };
        letter
    };
    let no_letter = Record { headers: Vec::new(), ..record(1, TOPIC) };
    desk.cluster.produce_records(&[record(0, "others"), no_letter, record(2, TOPIC)]).await;

    let (outcome, said) = desk.retry(&all()).await;
    let expected = Outcome { selected: 3, brought_in: 1, inserted: 1, failed: 1, left_alone: 1, ..Outcome::default() };
    assert_eq!(outcome, expected);
    assert_eq!(said, "0:1  -  no header says where it was: it is not one of Signal's\n");

    let places = ["0:0", "0:99", "0:2"].map(|place| place.parse().unwrap()).to_vec();
    let (outcome, said) = desk.retry(&Selection { places, ..all() }).await;
    assert_eq!((outcome.selected, outcome.brought_in, outcome.failed), (2, 1, 2));
    assert!(said.contains("0:0  others/0/3  it is of another topic; SIGNAL_KAFKA_TOPIC says"), "{said}");
    assert!(said.contains("0:99  there is no such dead letter"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_and_places_choose() {
    let desk = Desk::new().await;
    desk.handle(&[b"{".to_vec(), b"[]".to_vec(), b"}".to_vec()]).await;
    let not_json = Selection { reasons: vec!["not_json".to_owned()], ..all() };
    assert_eq!(desk.retry(&not_json).await.0.selected, 2);
    let behind = Selection { from: "0:1".parse().ok(), to: "0:2".parse().ok(), ..all() };
    assert_eq!(desk.retry(&behind).await.0.selected, 1);
    let none = Selection { reasons: vec!["no_scope".to_owned()], ..all() };
    let (outcome, _) = desk.retry(&none).await;
    assert_eq!(outcome, Outcome::default());
    assert!(outcome.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_waited_for_until_the_stop() {
    let mut desk = Desk::new().await;
    desk.fixture.run(PICKY).await;
    desk.handle(&[payment(&json!({ "userIds": ["user-004999"] }))]).await;
    let store = Arc::new(Interposed::new(Arc::clone(&desk.fixture.store)));
    store.set_away(true);
    let health = Health::new();
    let patient = Patient::new(Arc::clone(&store) as _, health.component("database"), desk.stop.clone());
    desk.bench.pipeline.store = Arc::new(patient) as Arc<dyn Store>;
    let selection = all();
    let (stopped, ()) = tokio::join!(desk.retry(&selection), async {
        let asked = || async {
            let status = health.status("database").unwrap();
            !status.up && status.reason.as_deref() != Some("starting")
        };
        eventually(SOON, asked).await;
        desk.stop.cancel();
    });
    assert!(stopped.0.stopped && !stopped.0.is_success(), "{stopped:?}");
    assert_eq!(desk.rows().await, 0);
}
