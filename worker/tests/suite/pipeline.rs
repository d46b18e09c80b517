//! The steps in their order, on SQLite and a bus in memory, fed by hand.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use signal_service::health::Health;
use signal_wire::{journal::Entry, snowflake::Snowflakes};
use signal_worker::{
    persist::Persister,
    pipeline::{Occasion, Pipeline, Summary},
    publish::Publisher,
    record::{Position, Record},
    rejection::Rejection,
    resolve::{Domains, Limits},
    selection::Selection,
    store::Store,
};

use crate::{
    bus::TestBus,
    fixture::{Fixture, people},
    interposed::Interposed,
};

pub(crate) struct Bench {
    pub(crate) bus: Arc<TestBus>,
    pub(crate) pipeline: Pipeline,
}

impl Bench {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let bus = TestBus::new();
        let publisher = Publisher::new(Arc::clone(&bus) as _, Health::new().component("backplane"));
        let pipeline = Pipeline {
            store,
            persister: Persister::new(Snowflakes::new(9).unwrap()),
            publisher: Some(Arc::new(publisher)),
            domains: Domains { organizer: "Organizer_{id}".into(), merchant: "Merchant_{id}".into() },
            limits: Limits::DEFAULT,
            dead_letters: None,
            journal: Arc::default(),
            broker_id: None,
            selection: Selection::default(),
            occasion: Occasion::News,
        };
        Self { bus, pipeline }
    }

    pub(crate) async fn process(&self, values: &[Value]) -> Summary {
        self.pipeline.process(records(values)).await.unwrap()
    }
}

pub(crate) fn records(values: &[Value]) -> Vec<Record> {
    let record = |(offset, value): (usize, &Value)| Record {
        position: Position { topic: "topic".into(), partition: 3, offset: offset as i64 },
        key: None,
        value: Some(serde_json::to_vec(value).unwrap().into()),
        headers: Vec::new(),
        timestamp: None,
    };
    values.iter().enumerate().map(record).collect()
}

pub(crate) fn payment(id: &str, scope: Value) -> Value {
    let mut event = json!({
        "id": id, "type": "PAYMENT_SUCCESS",
        "data": { "amount": "125000", "currency": "VND", "orderCode": "A-1042", "merchantName": "Cà *Phê* <b>79</b>" }
    });
    let Value::Object(scope) = scope else { panic!("scopes are objects") };
    event.as_object_mut().unwrap().extend(scope);
    event
}

pub(crate) fn to_users(id: &str, users: &[&str]) -> Value {
    payment(id, json!({ "userIds": users }))
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(user, event)| ((*user).to_owned(), (*event).to_owned())).collect()
}

#[tokio::test]
async fn a_payment_reaches_the_people_of_its_merchant() {
    let fixture = Fixture::sqlite().await;
    fixture.join("Merchant_m1", ["ann".into(), "bob".into(), "actor".into()]).await;
    fixture.join("Organizer_o1", ["boss".into()]).await;
    fixture.join("Merchant_m2", ["eve".into()]).await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let scope = json!({
        "organizerId": "o1", "merchantId": "m1", "userIds": ["zoe", "ann", "zoe", "out"],
        "excludeUserIds": ["actor", "out"], "channel": "till-4"
    });
    let summary = bench.process(&[payment("evt-1", scope), payment("evt-2", json!({ "organizerId": "o1" }))]).await;
    assert_eq!((summary.inserted, summary.existing), (4, 0));
    assert_eq!(summary.rejected, []);
    let expected = [("zoe", "evt-1"), ("ann", "evt-1"), ("bob", "evt-1"), ("boss", "evt-2")];
    assert_eq!(bench.bus.pushes(), pairs(&expected));

    let said = bench.bus.said();
    let mut data = said[0].data.clone();
    let (id, created) = (data["id"].take(), data["createdAt"].take());
    assert_eq!(data["modifiedAt"].take(), created);
    let created = created.as_str().unwrap();
    assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
    let text = "125.000 ₫ from order A-1042 at Cà *Phê* <b>79</b>";
    assert_eq!(
        data,
        json!({
            "id": null, "eventId": "evt-1", "type": "PAYMENT_SUCCESS", "recipientId": "zoe", "organizerId": "o1",
            "merchantId": "m1", "title": "Payment received", "content": text,
            "html": format!("<p>{}</p>", text.replace('<', "&lt;").replace('>', "&gt;")),
            "metadata": {
                "channel": "till-4",
                "data": { "amount": "125000", "currency": "VND", "orderCode": "A-1042", "merchantName": "Cà *Phê* <b>79</b>" }
            },
            "readAt": null, "createdAt": null, "modifiedAt": null
        })
    );
    let rows =
        fixture.texts(r#"SELECT id || ' ' || created_at FROM "ActivityNotification" WHERE recipient_id = 'zoe'"#).await;
    assert_eq!(rows, [format!("{} {created}", id.as_str().unwrap())], "what is pushed is what is stored");
}

#[tokio::test]
async fn a_redelivery_writes_nothing_and_pushes_the_stored_rows_again() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let batch = [to_users("evt-1", &["ann", "bob", "eve"]), to_users("evt-2", &["ann"])];
    bench.process(&batch).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = created_at WHERE recipient_id = 'eve'"#).await;
    let first = bench.bus.said();

    let summary = bench.process(&batch).await;
    assert_eq!((summary.inserted, summary.existing, summary.deleted), (0, 3, 1));
    assert_eq!(fixture.count("ActivityNotification").await, 4);
    let again = bench.bus.said().split_off(first.len());
    let kept: Vec<_> = first.into_iter().filter(|said| said.data["recipientId"] != "eve").collect();
    assert_eq!(again, kept, "same ids, same times, and nothing to who deleted it");
}

#[tokio::test]
async fn the_journal_knows_what_became_of_each_event() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    bench
        .process(&[to_users("evt-1", &["ann", "bob"]), json!({ "id": "evt-2", "type": "REFUND", "userIds": ["ann"] })])
        .await;
    bench.bus.set_away(true);
    bench.process(&[to_users("evt-1", &["ann", "bob", "eve"]), Value::Null]).await;
    let journal = &bench.pipeline.journal;
    let counts = |entry: &Entry| (entry.inserted, entry.existing, entry.deleted, entry.sent, entry.missed);
    let first = journal.of("evt-1");
    assert_eq!(first.iter().map(counts).collect::<Vec<_>>(), [(2, 0, 0, 2, 0), (1, 2, 0, 0, 3)]);
    assert!(first[0].position == "topic/3/0" && first[0].at <= first[1].at && first[0].rejected.is_none(), "{first:?}");
    let unknown = journal.of("evt-2");
    assert!(unknown[0].rejected.as_ref().is_some_and(|reason| reason.contains("type")), "{unknown:?}");
    let unread = journal.of("topic/3/1");
    assert_eq!(unread.iter().map(|entry| entry.event_id.as_str()).collect::<Vec<_>>(), ["evt-2", ""]);
}

#[tokio::test]
async fn pushes_carry_the_trace_of_their_record() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut batch = records(&[to_users("evt-1", &["ann"]), to_users("evt-2", &["ann"]), to_users("evt-3", &["ann"])]);
    batch[1].headers = vec![("traceparent".to_owned(), Some(given.into()))];
    batch[2].headers = vec![("traceparent".to_owned(), Some("nonsense".into()))];
    for _ in 0..2 {
        // The second time the rows are there.
        bench.pipeline.process(batch.clone()).await.unwrap();
    }
    let traces: Vec<_> = bench.bus.said().into_iter().map(|said| said.traceparent).collect();
    let of_one_batch = [None, Some(given.to_owned()), None];
    assert_eq!(traces, [of_one_batch.clone(), of_one_batch].concat());
}

#[tokio::test]
async fn an_event_without_id_is_known_by_its_position() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let mut event = to_users("", &["ann"]);
    event.as_object_mut().unwrap().remove("id");
    bench.process(std::slice::from_ref(&event)).await;
    bench.process(&[event]).await;
    assert_eq!(fixture.texts(r#"SELECT event_id FROM "ActivityNotification""#).await, ["topic/3/0"]);
}

#[tokio::test]
async fn positions_of_different_brokers_are_different_keys() {
    let fixture = Fixture::sqlite().await;
    let mut event = to_users("", &["ann"]);
    event.as_object_mut().unwrap().remove("id");
    for broker in [Some("first"), Some("second"), Some("second"), None] {
        let mut bench = Bench::new(Arc::clone(&fixture.store));
        bench.pipeline.broker_id = broker.map(str::to_owned);
        bench.process(std::slice::from_ref(&event)).await;
    }
    let keys = fixture.texts(r#"SELECT event_id FROM "ActivityNotification" ORDER BY event_id"#).await;
    assert_eq!(keys, ["first/topic/3/0", "second/topic/3/0", "topic/3/0"]);
}

#[tokio::test]
async fn bad_records_are_set_aside_and_disturb_nothing() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let bad: Vec<(&[u8], &str)> = vec![
        (b"", "empty"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (br#"{"userIds":["ann"]}"#, "missing_field"),
        (br#"{"type":"PAYMENT_SUCCESS"}"#, "no_scope"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":"ann"}"#, "invalid_field"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":["a\u0000"]}"#, "nul_character"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":["ann"],"n":1e999}"#, "not_json"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":["ann"],"occurredAt":"9999-12-31T23:59:59-23:59"}"#, "invalid_field"),
        (br#"{"type":"REFUND","userIds":["ann"]}"#, "unknown_type"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":["ann"]}"#, "missing_data"),
        (br#"{"type":"PAYMENT_SUCCESS","userIds":["ann"],"data":{"amount":"1e5","currency":"VND"}}"#, "invalid_data"),
    ];
    let mut batch = records(&vec![Value::Null; bad.len()]);
    for (record, (value, _)) in batch.iter_mut().zip(&bad) {
        record.value = Some(value.to_vec().into());
    }
    let good = Record {
        position: Position { topic: "topic".into(), partition: 0, offset: 0 },
        ..records(&[to_users("evt", &["ann"])]).remove(0)
    };
    batch.insert(6, good);
    let summary = bench.pipeline.process(batch).await.unwrap();
    let labels: Vec<_> = summary.rejected.iter().map(|rejected| rejected.rejection.label()).collect();
    assert_eq!(labels, bad.iter().map(|(_, label)| *label).collect::<Vec<_>>());
    assert!(labels.iter().all(|label| Rejection::LABELS.contains(label)), "counted from the start: {labels:?}");
    assert_eq!(bench.bus.pushes(), pairs(&[("ann", "evt")]));
}

#[tokio::test]
async fn an_audience_larger_than_memory_is_read_written_and_pushed_in_pieces() {
    let fixture = Fixture::sqlite().await;
    fixture.join("Merchant_big", people(0..9_500)).await;
    fixture.join("Merchant_small", people(0..3)).await;
    let mut bench = Bench::new(Arc::clone(&fixture.store));
    bench.pipeline.limits = Limits { held: 100, page: 700 };
    let big = json!({ "merchantId": "big", "userIds": ["user-000007"], "excludeUserIds": ["user-000008"] });
    let batch =
        [payment("evt-1", big.clone()), payment("evt-2", json!({ "merchantId": "small" })), payment("evt-3", big)];
    let summary = bench.process(&batch).await;
    assert_eq!(summary.inserted, 9_499 * 2 + 3);
    let pushes = bench.bus.pushes();
    assert_eq!(pushes.len(), 9_499 * 2 + 3);
    assert_eq!(pushes.iter().collect::<BTreeSet<_>>().len(), pushes.len(), "nobody twice");
    let events: Vec<_> = pushes.chunk_by(|a, b| a.1 == b.1).map(|run| (run[0].1.as_str(), run.len())).collect();
    assert_eq!(events, [("evt-1", 9_499), ("evt-2", 3), ("evt-3", 9_499)], "in the order of the records");
}

#[tokio::test]
async fn a_large_event_is_written_in_smaller_pieces() {
    let fixture = Fixture::sqlite().await;
    let counting = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let bench = Bench::new(Arc::clone(&counting) as _);
    let users: Vec<String> = people(0..40).collect();
    let large = payment("evt-1", json!({ "userIds": users, "note": "x".repeat(900_000) }));
    assert_eq!(bench.process(&[large, to_users("evt-2", &["ann"])]).await.inserted, 41);
    assert_eq!(counting.inserts(), 3, "40 rows of 0.9 MB, 16 MiB at once");
    assert_eq!(bench.bus.pushes().len(), 41);
}

#[tokio::test]
async fn scopes_that_fit_are_resolved_by_one_query() {
    let fixture = Fixture::sqlite().await;
    let mut batch = Vec::new();
    for n in 0..40 {
        fixture.join(&format!("Merchant_{n}"), people(n..n + 5)).await;
        fixture.join(&format!("Organizer_{n}"), people(n..n + 2)).await;
        batch.push(payment(&format!("m-{n}"), json!({ "merchantId": n })));
        batch.push(payment(&format!("o-{n}"), json!({ "organizerId": n })));
        batch.push(payment(&format!("none-{n}"), json!({ "merchantId": format!("none-{n}") })));
    }
    let counting = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let bench = Bench::new(Arc::clone(&counting) as _);
    let summary = bench.process(&batch).await;
    assert_eq!(summary.inserted, 40 * 7);
    assert_eq!((counting.lookups(), counting.inserts()), (1, 1));
}

#[tokio::test]
async fn one_large_scope_does_not_push_the_small_ones_out() {
    let fixture = Fixture::sqlite().await;
    fixture.join("Merchant_0", people(0..500)).await;
    let mut batch = vec![payment("big", json!({ "merchantId": 0 }))];
    for n in 1..=10 {
        fixture.join(&format!("Merchant_{n}"), people(0..3)).await;
        batch.push(payment(&format!("evt-{n}"), json!({ "merchantId": n })));
    }
    let counting = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let mut bench = Bench::new(Arc::clone(&counting) as _);
    bench.pipeline.limits = Limits { held: 100, page: 200 };
    assert_eq!(bench.process(&batch).await.inserted, 500 + 30);
    // Two for what is held, three pages of the large one.
    assert_eq!(counting.lookups(), 5);
}

#[tokio::test]
async fn ids_that_another_replica_took_are_replaced() {
    let fixture = Fixture::sqlite().await;
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let bench = Bench::new(Arc::clone(&store) as _);
    bench.process(&[to_users("evt-1", &["ann"])]).await;
    // What a replica with the same worker id and the same millisecond would have chosen.
    let taken = fixture.texts(r#"SELECT id FROM "ActivityNotification""#).await.remove(0);
    store.force_first_id(taken);
    let summary = bench.process(&[to_users("evt-2", &["bob", "eve"])]).await;
    assert_eq!(summary.inserted, 2);
    let rows = fixture.texts(r#"SELECT recipient_id FROM "ActivityNotification" ORDER BY recipient_id"#).await;
    assert_eq!(rows, ["ann", "bob", "eve"]);
    let pushed: BTreeSet<_> =
        bench.bus.said().iter().map(|said| said.data["id"].as_str().unwrap().to_owned()).collect();
    let stored: BTreeSet<_> = fixture.texts(r#"SELECT id FROM "ActivityNotification""#).await.into_iter().collect();
    assert_eq!(pushed, stored);
}

#[tokio::test]
async fn only_the_event_that_the_database_refuses_stays_behind() {
    let fixture = Fixture::sqlite().await;
    fixture
        .run(
            r#"CREATE TRIGGER picky BEFORE INSERT ON "ActivityNotification" WHEN new.event_id = 'bad'
               BEGIN SELECT RAISE(ABORT, 'picky'); END"#,
        )
        .await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let batch = [to_users("evt-1", &["ann"]), to_users("bad", &["ann", "bob"]), to_users("evt-2", &["ann", "bob"])];
    let summary = bench.process(&batch).await;
    assert_eq!(summary.inserted, 3);
    let rejected: Vec<_> =
        summary.rejected.iter().map(|one| (one.record.position.offset, one.rejection.label())).collect();
    assert_eq!(rejected, [(1, "refused_by_database")]);
    assert_eq!(bench.bus.pushes(), pairs(&[("ann", "evt-1"), ("ann", "evt-2"), ("bob", "evt-2")]));
}

#[tokio::test]
async fn only_the_event_whose_scope_cannot_be_looked_up_stays_behind() {
    let fixture = Fixture::sqlite().await;
    fixture.join("Merchant_m1", ["ann".into()]).await;
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    store.refuse_scope("Merchant_\u{1f600}");
    let bench = Bench::new(store);
    let batch = [
        payment("evt-1", json!({ "merchantId": "m1" })),
        payment("bad", json!({ "merchantId": "\u{1f600}" })),
        to_users("evt-2", &["bob"]),
    ];
    let summary = bench.process(&batch).await;
    let rejected: Vec<_> =
        summary.rejected.iter().map(|one| (one.record.position.offset, one.rejection.to_string())).collect();
    assert_eq!(rejected, [(1, "the database refuses it (22P05)".to_owned())]);
    assert_eq!(bench.bus.pushes(), pairs(&[("ann", "evt-1"), ("bob", "evt-2")]));
}
