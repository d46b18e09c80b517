//! Whose fault a failure is: the row's, the tables', or the weather's. Only the first makes a dead letter.

use signal_harness::{Postgres, require};
use signal_worker::store::{StoreError, Written};

use super::{now, row};
use crate::fixture::{Fixture, draft, on_both};

on_both!(refused, Fixture::sqlite().await, Fixture::postgres().await,
    a_refused_row_leaves_nothing_behind
    a_constraint_of_the_cores_is_the_rows_fault
    another_unique_key_is_told_as_a_taken_id
    a_column_that_signal_does_not_know_is_the_tables_fault
    a_row_of_others_that_cannot_be_read_is_refused
);

async fn a_refused_row_leaves_nothing_behind(fixture: &Fixture) {
    fixture
        .run(if fixture.is_postgres() {
            r#"ALTER TABLE "ActivityNotification" ADD CONSTRAINT picky CHECK (recipient_id <> 'nobody')"#
        } else {
            r#"CREATE TRIGGER picky BEFORE INSERT ON "ActivityNotification" WHEN new.recipient_id = 'nobody'
               BEGIN SELECT RAISE(ABORT, 'picky'); END"#
        })
        .await;
    let rows = [row("a", 0, "ann"), row("b", 0, "nobody")];
    let error = fixture.store.insert(&[draft("evt-1")], &rows, now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("nobody"), "{error}");
    assert_eq!(fixture.count("ActivityNotification").await, 0);
}

async fn refusal(fixture: &Fixture, recipient: &str) -> StoreError {
    fixture.store.insert(&[draft("evt-1")], &[row("a", 0, recipient)], now()).await.unwrap_err()
}

async fn a_constraint_of_the_cores_is_the_rows_fault(fixture: &Fixture) {
    // Where SQLite has no constraint to add, a column with one does.
    fixture
        .run(if fixture.is_postgres() {
            r#"CREATE TABLE "User" (id text PRIMARY KEY); INSERT INTO "User" VALUES ('ann');
               ALTER TABLE "ActivityNotification" ADD CONSTRAINT known FOREIGN KEY (recipient_id) REFERENCES "User" (id)"#
        } else {
            r#"CREATE TRIGGER known BEFORE INSERT ON "ActivityNotification" WHEN new.recipient_id <> 'ann'
               BEGIN SELECT RAISE(ABORT, 'known'); END"#
        })
        .await;
    let error = refusal(fixture, "nobody").await;
    let StoreError::Refused { code } = &error else { panic!("{error:?}") };
    assert_eq!(code, if fixture.is_postgres() { "23503, known" } else { "1811" });
    let written = fixture.store.insert(&[draft("evt-1")], &[row("a", 0, "ann")], now()).await.unwrap();
    assert_eq!(written, [Written::Inserted]);
}

async fn another_unique_key_is_told_as_a_taken_id(fixture: &Fixture) {
    fixture.run(r#"CREATE UNIQUE INDEX one_each ON "ActivityNotification" (recipient_id, type)"#).await;
    let drafts = [draft("evt-1"), draft("evt-2")];
    fixture.store.insert(&drafts, &[row("a", 0, "ann")], now()).await.unwrap();
    let written = fixture.store.insert(&drafts, &[row("b", 1, "ann"), row("c", 1, "bob")], now()).await.unwrap();
    assert_eq!(written, [Written::IdTaken, Written::Inserted]);
}

async fn a_column_that_signal_does_not_know_is_the_tables_fault(fixture: &Fixture) {
    fixture
        .run(if fixture.is_postgres() {
            r#"ALTER TABLE "ActivityNotification" ADD COLUMN tenant text NOT NULL"#
        } else {
            // SQLite adds no such column but with a default, and none that is checked as it is added.
            r#"DROP TABLE "ActivityNotification";
               CREATE TABLE "ActivityNotification" (id text PRIMARY KEY, event_id text, type text, recipient_id text,
                   organizer_id text, merchant_id text, title text, content text, metadata text, read_at text,
                   created_at text, modified_at text, deleted_at text, tenant text NOT NULL)"#
        })
        .await;
    let error = refusal(fixture, "ann").await;
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    assert!(error.to_string().contains("tenant"), "{error}");
}

async fn a_row_of_others_that_cannot_be_read_is_refused(fixture: &Fixture) {
    fixture.store.insert(&[draft("evt-1")], &[row("a", 0, "ann")], now()).await.unwrap();
    fixture
        .run(if fixture.is_postgres() {
            r#"ALTER TABLE "ActivityNotification" ALTER title DROP NOT NULL; UPDATE "ActivityNotification" SET title = NULL"#
        } else {
            r#"UPDATE "ActivityNotification" SET created_at = 'yesterday'"#
        })
        .await;
    let error = fixture.store.insert(&[draft("evt-1")], &[row("b", 0, "ann")], now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(!error.to_string().contains("yesterday"), "{error}");
}

/// What Postgres says of itself, raised by the table.
async fn failure(fixture: &Fixture, raise: &str) -> StoreError {
    fixture
        .run(format!(
            r#"CREATE OR REPLACE FUNCTION storm() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'storm' USING {raise}; END $$;
               CREATE OR REPLACE TRIGGER storm BEFORE INSERT ON "ActivityNotification" EXECUTE FUNCTION storm()"#
        ))
        .await;
    refusal(fixture, "ann").await
}

#[tokio::test]
async fn an_outage_of_postgres_is_never_taken_for_a_bad_row() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    for code in [
        "08006", "25006", "40001", "40P01", "42501", "53100", "53200", "53300", "55P03", "57014", "57P01", "57P03",
        "58030", "XX000",
    ] {
        let error = failure(&fixture, &format!("ERRCODE = '{code}'")).await;
        assert!(matches!(error, StoreError::Away(_)), "{code}: {error:?}");
    }
    for raise in ["ERRCODE = '42P01'", "ERRCODE = '42804'", "ERRCODE = '23502', COLUMN = 'tenant'", "ERRCODE = '23514'"]
    {
        let error = failure(&fixture, raise).await;
        assert!(matches!(error, StoreError::Schema(_)), "{raise}: {error:?}");
    }
    for raise in [
        "ERRCODE = '22001'",
        "ERRCODE = '23502', COLUMN = 'merchant_id'",
        "ERRCODE = '23503', CONSTRAINT = 'known'",
        "ERRCODE = '23505', CONSTRAINT = 'one_each'",
        "ERRCODE = '23514', CONSTRAINT = 'picky'",
        "ERRCODE = '54000'",
        "ERRCODE = 'P0001'",
    ] {
        let error = failure(&fixture, raise).await;
        let StoreError::Refused { code } = &error else { panic!("{raise}: {error:?}") };
        assert!(raise.contains(&code[..5]), "{code}");
    }
}

#[tokio::test]
async fn a_month_without_a_partition_is_no_bad_row() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    fixture
        .run(
            r#"ALTER TABLE "ActivityNotification" RENAME TO whole;
               CREATE TABLE "ActivityNotification" (LIKE whole) PARTITION BY RANGE (created_at)"#,
        )
        .await;
    let error = refusal(&fixture, "ann").await;
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    fixture.run(r#"CREATE TABLE november PARTITION OF "ActivityNotification" DEFAULT"#).await;
    assert_eq!(
        fixture.store.insert(&[draft("evt-1")], &[row("a", 0, "ann")], now()).await.unwrap(),
        [Written::Inserted]
    );
}
