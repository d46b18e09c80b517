//! The pipeline over what was: a selection of it, as old as it is, told to whom it is new, or not written at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use signal_wire::timestamp;
use signal_worker::{
    pipeline::{Occasion, Summary},
    record::Record,
    selection::Selection,
    store::{Store, dry_run::DryRun},
};
use time::{Duration, OffsetDateTime};

use crate::{
    fixture::{Fixture, people},
    pipeline::{Bench, pairs, payment, records, to_users},
};

fn history(store: &Arc<dyn Store>) -> Bench {
    let mut bench = Bench::new(Arc::clone(store));
    bench.pipeline.occasion = Occasion::History;
    bench
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn counts(summary: &Summary) -> (u64, u64, u64, u64, usize) {
    (summary.matched, summary.inserted, summary.existing, summary.deleted, summary.rejected.len())
}

async fn rows(fixture: &Fixture) -> BTreeSet<String> {
    let rows = fixture.texts(r#"SELECT event_id || ' ' || recipient_id FROM "ActivityNotification""#).await;
    rows.into_iter().collect()
}

#[tokio::test]
async fn rows_of_history_are_as_old_as_their_records() {
    let fixture = Fixture::sqlite().await;
    let bench = history(&fixture.store);
    let before = OffsetDateTime::now_utc() - Duration::SECOND;
    let then = timestamp::parse("2026-01-02T03:04:05.678Z").unwrap();
    let mut batch = records(&["then", "never", "to-come", "absurd"].map(|id| to_users(id, &["ann"])));
    let times = [
        Some(then),
        None,
        Some(OffsetDateTime::now_utc() + Duration::DAY),
        Some(OffsetDateTime::UNIX_EPOCH + Duration::days(20)),
    ];
    for (record, at) in batch.iter_mut().zip(times) {
        record.timestamp = at;
    }
    assert_eq!(bench.pipeline.process(batch).await.unwrap().inserted, 4);
    let after = OffsetDateTime::now_utc() + Duration::SECOND;

    let rows = fixture
        .texts(r#"SELECT event_id || ' ' || created_at || ' ' || modified_at FROM "ActivityNotification""#)
        .await;
    assert_eq!(rows.len(), 4);
    for row in rows {
        let (id, times) = row.split_once(' ').unwrap();
        let (created, modified) = times.split_once(' ').unwrap();
        let [created, modified] = [created, modified].map(|text| timestamp::parse(text).unwrap());
        assert!(before < modified && modified < after, "{row}");
        assert_eq!(created, if id == "then" { then } else { modified }, "{row}");
        let said = bench.bus.said();
        let pushed = said.iter().find(|said| said.data["eventId"] == id).unwrap();
        assert_eq!(pushed.data["createdAt"], timestamp::format(created), "what is pushed is what is stored");
        assert_eq!(pushed.data["modifiedAt"], timestamp::format(modified));
    }
}

#[tokio::test]
async fn news_are_created_when_they_are_written() {
    let fixture = Fixture::sqlite().await;
    let bench = Bench::new(Arc::clone(&fixture.store));
    let mut batch = records(&[to_users("evt-1", &["ann"])]);
    batch[0].timestamp = timestamp::parse("2026-01-02T03:04:05.678Z");
    bench.pipeline.process(batch).await.unwrap();
    let same = fixture.texts(r#"SELECT id FROM "ActivityNotification" WHERE created_at = modified_at"#).await;
    assert_eq!(same.len(), 1);
}

#[tokio::test]
async fn only_who_gets_a_row_anew_is_told_of_history() {
    let fixture = Fixture::sqlite().await;
    let batch = [to_users("evt-1", &["ann", "bob"]), to_users("evt-2", &["ann", "bob"])];
    Bench::new(Arc::clone(&fixture.store)).pipeline.process(records(&batch[..1])).await.unwrap();
    let bench = history(&fixture.store);
    let summary = bench.pipeline.process(records(&batch)).await.unwrap();
    assert_eq!(counts(&summary), (2, 2, 2, 0, 0));
    assert_eq!(bench.bus.pushes(), pairs(&[("ann", "evt-2"), ("bob", "evt-2")]));
    assert_eq!((summary.sent, summary.missed), (2, 0));

    let mut silent = history(&fixture.store);
    silent.pipeline.publisher = None;
    let summary = silent.pipeline.process(records(&[to_users("evt-3", &["ann"])])).await.unwrap();
    assert_eq!((summary.inserted, silent.bus.said()), (1, Vec::new()));
}

/// Events of two merchants and two organizers, named people, and records that nobody can read.
fn mixed() -> Vec<Record> {
    let other = |id: &str, scope: Value| {
        let mut event = payment(id, scope);
        event["type"] = json!("REFUND");
        event
    };
    let mut batch = records(&[
        payment("m1", json!({ "merchantId": "m1", "organizerId": "o1" })),
        payment("m2", json!({ "merchantId": "m2", "organizerId": "o1", "userIds": ["ann"] })),
        payment("o2", json!({ "organizerId": "o2" })),
        payment("named", json!({ "userIds": ["ann", "zoe"], "excludeUserIds": ["zoe"] })),
        other("unknown", json!({ "merchantId": "m1" })),
        Value::Null,
    ]);
    batch[5].value = Some(b"{".as_slice().into());
    batch
}

async fn scopes(fixture: &Fixture) {
    fixture.join("Merchant_m1", ["ann".into(), "bob".into()]).await;
    fixture.join("Merchant_m2", ["bob".into()]).await;
    fixture.join("Organizer_o2", ["bob".into(), "eve".into()]).await;
}

#[tokio::test]
async fn a_selection_writes_its_events_and_its_peoples_rows() {
    let all: &[&str] = &["m1 ann", "m1 bob", "m2 ann", "m2 bob", "named ann", "o2 bob", "o2 eve"];
    let of_organizers: &[&str] = &["m1 ann", "m1 bob", "m2 ann", "m2 bob", "o2 bob", "o2 eve"];
    let some = |select: fn(&mut Selection)| {
        let mut selection = Selection::default();
        select(&mut selection);
        selection
    };
    // A record that can't be read can't be passed over by what it says, either.
    let cases: [(Selection, u64, &[&str], &[&str]); 8] = [
        (Selection::default(), 4, all, &["unknown_type", "not_json"]),
        (some(|s| s.merchants = set(&["m1"])), 1, &["m1 ann", "m1 bob"], &["unknown_type", "not_json"]),
        (some(|s| s.organizers = set(&["o1", "o2"])), 3, of_organizers, &["not_json"]),
        (some(|s| s.types = set(&["PAYMENT_SUCCESS"])), 4, all, &["not_json"]),
        (some(|s| s.types = set(&["REFUND"])), 0, &[], &["unknown_type", "not_json"]),
        (
            some(|s| s.users = set(&["ann", "zoe"])),
            3,
            &["m1 ann", "m2 ann", "named ann"],
            &["unknown_type", "not_json"],
        ),
        (some(|s| s.users = set(&["nobody"])), 0, &[], &["unknown_type", "not_json"]),
        (
            some(|s| (s.merchants, s.users) = (set(&["m1", "m2"]), set(&["bob"]))),
            2,
            &["m1 bob", "m2 bob"],
            &["unknown_type", "not_json"],
        ),
    ];
    for (selection, matched, expected, rejected) in cases {
        let fixture = Fixture::sqlite().await;
        scopes(&fixture).await;
        let mut bench = history(&fixture.store);
        bench.pipeline.selection = selection.clone();
        let summary = bench.pipeline.process(mixed()).await.unwrap();
        assert_eq!(summary.matched, matched, "{selection:?}");
        let labels: Vec<_> = summary.rejected.iter().map(|one| one.rejection.label()).collect();
        assert_eq!(rows(&fixture).await, set(expected), "{selection:?}");
        assert_eq!(labels.iter().collect::<BTreeSet<_>>(), rejected.iter().collect(), "{selection:?}");
    }
}

#[tokio::test]
async fn one_person_of_a_large_audience_gets_one_row() {
    let fixture = Fixture::sqlite().await;
    fixture.join("Merchant_big", people(0..9_500)).await;
    let mut bench = history(&fixture.store);
    bench.pipeline.limits.held = 100;
    bench.pipeline.selection.users = set(&["user-009000"]);
    let batch = [payment("evt-1", json!({ "merchantId": "big" })), to_users("evt-2", &["ann"])];
    assert_eq!(counts(&bench.pipeline.process(records(&batch)).await.unwrap()), (1, 1, 0, 0, 0));
    assert_eq!(rows(&fixture).await, set(&["evt-1 user-009000"]));
}

#[tokio::test]
async fn a_dry_run_counts_what_the_real_one_then_does() {
    let fixture = Fixture::sqlite().await;
    scopes(&fixture).await;
    fixture.join("Merchant_big", people(0..5_000)).await;
    // Some is there, of which some was deleted by its person.
    let bench = Bench::new(Arc::clone(&fixture.store));
    bench.process(&[payment("m1", json!({ "merchantId": "m1" })), payment("o2", json!({ "organizerId": "o2" }))]).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = created_at WHERE recipient_id = 'eve'"#).await;
    let big = payment("big", json!({ "merchantId": "big", "userIds": ["ann", "ann"] }));
    // Twice in a batch, twice in a transaction, and in batches of their own; once with more people.
    let more = to_users("named", &["zoe", "ann"]);
    let batches = || {
        [
            [mixed(), mixed()].concat(),
            records(&[big.clone(), to_users("more", &["ann"]), big.clone(), to_users("more", &["ann", "bob"])]),
            records(&[more.clone(), big.clone()]),
            mixed(),
        ]
    };
    let selections = [
        Selection { users: set(&["ann", "eve"]), ..Selection::default() },
        Selection { merchants: set(&["m2"]), ..Selection::default() },
        Selection::default(),
        Selection::default(),
    ];
    for selection in selections {
        let before = rows(&fixture).await;
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let telling = Arc::clone(&told);
        let dry_run = DryRun::telling(Arc::clone(&fixture.store), move |draft, row| {
            telling.lock().push(format!("{} {}", draft.event_id, row.recipient_id));
        });
        let mut counted: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (name, store) in [("dry", Arc::new(dry_run) as Arc<dyn Store>), ("real", Arc::clone(&fixture.store))] {
            let mut bench = history(&store);
            bench.pipeline.selection = selection.clone();
            for batch in batches() {
                let summary = bench.pipeline.process(batch).await.unwrap();
                counted.entry(name).or_default().push(counts(&summary));
            }
            if name == "dry" {
                assert_eq!(rows(&fixture).await, before, "nothing was written");
            }
        }
        assert_eq!(counted["dry"], counted["real"], "{selection:?}");
        let inserted: BTreeSet<String> = rows(&fixture).await.difference(&before).cloned().collect();
        let mut told = std::mem::take(&mut *told.lock());
        told.sort();
        assert_eq!(told, inserted.into_iter().collect::<Vec<_>>(), "row by row");
    }
}
