//! What becomes a dead letter and what never does, with a place for them that remembers.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use signal_harness::{Postgres, eventually, require};
use signal_service::health::Health;
use signal_worker::{
    dead_letters::{DeadLetters, Stopped},
    record::Record,
    rejection::Rejected,
    store::{StoreError, patient::Patient},
};
use tokio_util::sync::CancellationToken;

use crate::{
    fixture::Fixture,
    interposed::Interposed,
    kafka::SOON,
    pipeline::{Bench, records, to_users},
};

/// Remembers what was kept, or has no room for it until the stop.
#[derive(Debug, Default)]
struct Kept {
    letters: Mutex<Vec<Rejected>>,
    full: std::sync::atomic::AtomicBool,
}

impl Kept {
    fn offsets(&self) -> Vec<i64> {
        self.letters.lock().iter().map(|rejected| rejected.record.position.offset).collect()
    }
}

#[async_trait]
impl DeadLetters for Kept {
    async fn keep(&self, rejected: &[Rejected]) -> Result<(), Stopped> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Stopped);
        }
        self.letters.lock().extend_from_slice(rejected);
        Ok(())
    }
}

fn batch() -> Vec<Record> {
    let mut batch = records(&[to_users("evt-1", &["ann"]), json!({}), to_users("evt-2", &["ann"]), Value::Null]);
    batch[3].value = None;
    batch
}

#[tokio::test]
async fn what_cannot_be_handled_is_kept_as_it_came_behind_all_that_can() {
    let fixture = Fixture::sqlite().await;
    let kept = Arc::new(Kept::default());
    let mut bench = Bench::new(Arc::clone(&fixture.store));
    bench.pipeline.dead_letters = Some(Arc::clone(&kept) as _);
    let summary = bench.pipeline.process(batch()).await.unwrap();
    assert_eq!(summary.rejected, *kept.letters.lock());
    assert_eq!(kept.offsets(), [1, 3]);
    assert_eq!(kept.letters.lock()[1].record, batch()[3]);
    bench.pipeline.process(records(&[to_users("evt-3", &["ann"])])).await.unwrap();
    assert_eq!(kept.offsets().len(), 2, "nothing is asked of it when there is nothing to keep");

    kept.full.store(true, Ordering::SeqCst);
    let stopped = bench.pipeline.process(batch()).await;
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
    assert_eq!(fixture.count("ActivityNotification").await, 3);
}

/// A database whose table answers every insert with an error of the test's choosing.
struct Stormy {
    fixture: Fixture,
    store: Arc<Interposed>,
    kept: Arc<Kept>,
    bench: Arc<Bench>,
}

impl Stormy {
    async fn new() -> Self {
        let fixture = Fixture::postgres().await;
        let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
        let kept = Arc::new(Kept::default());
        let patient =
            Patient::new(Arc::clone(&store) as _, Health::new().component("database"), CancellationToken::new());
        let mut bench = Bench::new(Arc::new(patient));
        bench.pipeline.dead_letters = Some(Arc::clone(&kept) as _);
        Self { fixture, store, kept, bench: Arc::new(bench) }
    }

    async fn answers(&self, raise: &str) {
        let function = format!(
            r#"CREATE OR REPLACE FUNCTION storm() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN {raise} RETURN new; END $$;
               CREATE OR REPLACE TRIGGER storm BEFORE INSERT ON "ActivityNotification"
               FOR EACH ROW EXECUTE FUNCTION storm()"#
        );
        self.fixture.run(function).await;
    }
}

#[tokio::test]
async fn an_outage_makes_no_dead_letters_and_loses_nothing() {
    require!(Postgres);
    let storm = Stormy::new().await;
    let weather = [
        "ERRCODE = '53100'",
        "ERRCODE = '40001'",
        "ERRCODE = '40P01'",
        "ERRCODE = '25006'",
        "ERRCODE = '42501'",
        "ERRCODE = '57P03'",
        "ERRCODE = '42P01'",
        "ERRCODE = '23502', COLUMN = 'tenant'",
    ];
    for (n, using) in weather.into_iter().enumerate() {
        storm.answers(&format!("RAISE EXCEPTION 'storm' USING {using};")).await;
        let (bench, before) = (Arc::clone(&storm.bench), storm.store.inserts());
        let event = to_users(&format!("evt-{n}"), &["ann"]);
        let working = tokio::spawn(async move { bench.pipeline.process(records(&[event])).await });
        eventually(SOON, || async { storm.store.inserts() >= before + 3 }).await;
        assert!(!working.is_finished(), "{using}");
        storm.answers("").await;
        assert_eq!(working.await.unwrap().unwrap().inserted, 1, "{using}");
    }
    assert_eq!(storm.kept.offsets(), [0_i64; 0]);
    assert_eq!(storm.fixture.count("ActivityNotification").await, weather.len());
}

#[tokio::test]
async fn an_event_that_no_time_mends_is_kept_with_the_reason() {
    require!(Postgres);
    let storm = Stormy::new().await;
    for using in ["ERRCODE = '23514', CONSTRAINT = 'picky'", "ERRCODE = '22001'", "ERRCODE = 'P0001'"] {
        storm.answers(&format!("IF new.event_id = 'bad' THEN RAISE EXCEPTION 'x' USING {using}; END IF;")).await;
        storm.bench.pipeline.process(records(&[to_users("good", &["ann"]), to_users("bad", &["ann"])])).await.unwrap();
    }
    let why: Vec<_> = storm.kept.letters.lock().iter().map(|rejected| rejected.rejection.to_string()).collect();
    let refuses = |code: &str| format!("the database refuses it ({code})");
    assert_eq!(why, [refuses("23514, picky"), refuses("22001"), refuses("P0001")]);
    assert_eq!(storm.kept.offsets(), [1; 3]);
    assert_eq!(storm.fixture.count("ActivityNotification").await, 1);
}
