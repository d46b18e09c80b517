//! The pipeline while its database is away, or is not what it should be: it waits.

use std::{sync::Arc, time::Duration};

use signal_harness::{Postgres, eventually, require};
use signal_service::health::Health;
use signal_worker::{
    pipeline::Summary,
    store::{Migration, Store, StoreError, patient::Patient},
};
use tokio_util::sync::CancellationToken;

use crate::{
    fixture::Fixture,
    interposed::Interposed,
    pipeline::{Bench, pairs, records, to_users},
};

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    let fixture = Fixture::sqlite().await;
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let health = Health::new();
    let stop = CancellationToken::new();
    let patient = Patient::new(Arc::clone(&store) as _, health.component("database"), stop.clone());
    let bench = Arc::new(Bench::new(Arc::new(patient)));
    bench.process(&[to_users("evt-0", &["ann"])]).await;
    store.set_away(true);
    let working = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.pipeline.process(records(&[to_users("evt-1", &["ann"])])).await }
    });
    eventually(Duration::from_secs(10), || async { store.inserts() >= 4 }).await;
    assert!(!health.is_ready() && !working.is_finished());
    store.set_away(false);
    assert_eq!(working.await.unwrap().unwrap().inserted, 1);
    assert!(health.is_ready());

    store.set_away(true);
    stop.cancel();
    let stopped = bench.pipeline.process(records(&[to_users("evt-2", &["ann"])])).await;
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
    assert_eq!(bench.bus.pushes(), pairs(&[("ann", "evt-0"), ("ann", "evt-1")]));
}

/// A pipeline that waits for its database, and what is said of that.
fn patiently(store: &Arc<dyn Store>) -> (Arc<Bench>, Health) {
    let health = Health::new();
    let patient = Patient::new(Arc::clone(store), health.component("database"), CancellationToken::new());
    (Arc::new(Bench::new(Arc::new(patient))), health)
}

fn process(bench: &Arc<Bench>, event: &'static str) -> tokio::task::JoinHandle<Summary> {
    let bench = Arc::clone(bench);
    tokio::spawn(async move { bench.process(&[to_users(event, &["ann"])]).await })
}

async fn until_it_says(health: &Health, what: &str) {
    let says = || {
        let reason = health.status("database").and_then(|status| status.reason).unwrap_or_default();
        async move { if reason.contains(what) { Ok(()) } else { Err(reason) } }
    };
    eventually(Duration::from_secs(30), says).await;
}

#[tokio::test]
async fn a_database_that_does_not_fit_is_not_touched_until_it_does() {
    let fixture = Fixture::sqlite().await;
    fixture.run(r#"ALTER TABLE "Role" RENAME COLUMN status TO state"#).await;
    let store = Arc::new(Interposed::new(Arc::clone(&fixture.store)));
    let (bench, health) = patiently(&(Arc::clone(&store) as _));
    let working = process(&bench, "evt-1");
    until_it_says(&health, r#""Role".status is missing"#).await;
    assert!(!working.is_finished() && store.inserts() == 0);
    fixture.run(r#"ALTER TABLE "Role" RENAME COLUMN state TO status"#).await;
    assert_eq!(working.await.unwrap().inserted, 1);
    assert!(health.is_ready());
}

#[tokio::test]
async fn a_table_that_no_longer_fits_is_not_held_against_events() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    let (bench, health) = patiently(&fixture.store);
    assert_eq!(process(&bench, "evt-0").await.unwrap().inserted, 1);
    fixture.run(r#"DELETE FROM "ActivityNotification""#).await;
    fixture.run(r#"ALTER TABLE "ActivityNotification" ADD COLUMN tenant text NOT NULL"#).await;
    let working = process(&bench, "evt-1");
    until_it_says(&health, r#""ActivityNotification".tenant is not null and has no default"#).await;
    assert!(!working.is_finished());
    fixture.run(r#"ALTER TABLE "ActivityNotification" ALTER COLUMN tenant SET DEFAULT 'x'"#).await;
    let summary = working.await.unwrap();
    assert_eq!((summary.inserted, summary.rejected), (1, vec![]));
    assert!(health.is_ready());
}

#[tokio::test]
async fn without_the_key_that_keeps_rows_single_nothing_is_written() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    let (bench, health) = patiently(&fixture.store);
    assert_eq!(process(&bench, "evt-0").await.unwrap().inserted, 1);
    let key = r#"CONSTRAINT "ActivityNotification_event_id_recipient_id_key""#;
    fixture.run(format!(r#"ALTER TABLE "ActivityNotification" DROP {key}"#)).await;
    // As the watch does every few seconds.
    bench.pipeline.store.ping().await.unwrap_err();
    let working = process(&bench, "evt-0");
    until_it_says(&health, "event_id").await;
    assert!(!working.is_finished());
    fixture.run(format!(r#"ALTER TABLE "ActivityNotification" ADD {key} UNIQUE (event_id, recipient_id)"#)).await;
    let summary = working.await.unwrap();
    assert_eq!((summary.inserted, summary.existing), (0, 1));
    assert_eq!(fixture.count("ActivityNotification").await, 1);
}

#[tokio::test]
async fn postgres_restarted_within_a_batch_loses_and_doubles_nothing() {
    require!(Postgres);
    let postgres = Postgres::launch().await;
    let database = postgres.database("").await;
    let store = signal_worker::store::open(&signal_service::Secret::new(database.url())).unwrap();
    store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
    let health = Health::new();
    let patient = Patient::new(Arc::clone(&store) as _, health.component("database"), CancellationToken::new());
    let bench = Arc::new(Bench::new(Arc::new(patient)));
    bench.process(&[to_users("evt-0", &["ann"])]).await;
    postgres.stop().await;
    let working = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move { bench.process(&[to_users("evt-1", &["ann", "bob"])]).await }
    });
    eventually(Duration::from_secs(10), || async { !health.is_ready() }).await;
    postgres.start().await;
    assert_eq!(working.await.unwrap().inserted, 2);
    let rows = postgres.sql(database.name(), r#"select count(*) from "ActivityNotification""#).await;
    assert_eq!(rows, "3");
    store.close().await;
}
