//! What a store promises, on Postgres and on SQLite.

use signal_harness::{Postgres, require};
use signal_service::Secret;
use signal_wire::timestamp;
use signal_worker::store::{
    self, Member, Migration, NewRow, StoreError, Written,
    rows::{EventCounts, EventRow},
};
use time::OffsetDateTime;

use crate::fixture::{Fixture, draft, on_both, people};

mod failure;

on_both!(migrated, Fixture::sqlite().await, Fixture::postgres().await,
    a_row_is_written_once_and_found_again
    a_row_may_be_older_than_its_writing
    what_is_there_is_told_without_writing
    an_event_twice_in_one_call_is_one_row
    what_a_person_deleted_stays_deleted
    a_taken_id_is_told_and_disturbs_no_other_row
    many_rows_fit_one_call
    members_are_the_people_of_the_domain
    members_come_in_pages
    rows_of_an_event_are_counted_and_come_in_pages
    seeds_respect_what_operators_did
    a_migrated_database_answers
);

on_both!(empty, Fixture::empty_sqlite(), Fixture::empty_postgres().await,
    migrations_may_run_twice_and_at_once
    a_database_without_the_core_says_so
);

fn now() -> OffsetDateTime {
    timestamp::parse("2026-11-23T08:51:04.867Z").unwrap()
}

fn row(id: &str, draft: usize, recipient: &str) -> NewRow {
    NewRow { id: id.to_owned(), draft, recipient_id: recipient.to_owned(), created_at: now() }
}

async fn a_row_is_written_once_and_found_again(fixture: &Fixture) {
    let drafts = [draft("evt-1"), draft("evt-2")];
    let rows = [row("a", 0, "ann"), row("b", 1, "ann"), row("c", 1, "bob")];
    assert_eq!(fixture.store.insert(&drafts, &rows, now()).await.unwrap(), vec![Written::Inserted; 3]);
    fixture.run(r#"UPDATE "ActivityNotification" SET read_at = '2026-11-24T00:00:00.000Z' WHERE id = 'b'"#).await;

    let again = [row("d", 0, "ann"), row("e", 0, "bob"), row("f", 1, "ann")];
    let later = now() + time::Duration::hours(1);
    let written = fixture.store.insert(&drafts, &again, later).await.unwrap();
    assert_eq!(written[1], Written::Inserted);
    for (written, id, draft, read_at) in
        [(&written[0], "a", &drafts[0], None), (&written[2], "b", &drafts[1], timestamp::parse("2026-11-24T00:00:00Z"))]
    {
        let Written::Existing(stored) = written else { panic!("{written:?}") };
        assert_eq!((stored.id.as_str(), stored.recipient_id.as_str()), (id, "ann"));
        assert_eq!(&stored.draft, draft);
        assert_eq!((stored.created_at, stored.modified_at, stored.read_at), (now(), now(), read_at));
    }
    assert_eq!(fixture.count("ActivityNotification").await, 4);
}

async fn a_row_may_be_older_than_its_writing(fixture: &Fixture) {
    let (drafts, created_at) = ([draft("evt-1")], now() - time::Duration::days(300));
    let rows = [row("a", 0, "ann"), NewRow { created_at, ..row("b", 0, "bob") }];
    fixture.store.insert(&drafts, &rows, now()).await.unwrap();
    let stored = fixture.store.existing(&drafts, &rows).await.unwrap();
    let times = stored.iter().map(|stored| match stored {
        Some(Written::Existing(stored)) => (stored.created_at, stored.modified_at),
        other => panic!("{other:?}"),
    });
    assert_eq!(times.collect::<Vec<_>>(), [(now(), now()), (created_at, now())]);
}

async fn what_is_there_is_told_without_writing(fixture: &Fixture) {
    let drafts = [draft("evt-1"), draft("evt-2")];
    fixture.store.insert(&drafts, &[row("a", 0, "ann"), row("b", 1, "bob")], now()).await.unwrap();
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = '2026-11-24T00:00:00.000Z' WHERE id = 'b'"#).await;
    // Ids are not looked at.
    let asked = [row("a", 1, "ann"), row("c", 0, "ann"), row("c", 1, "bob"), row("d", 0, "bob"), row("d", 0, "ann")];
    let told = fixture.store.existing(&drafts, &asked).await.unwrap();
    let is_anns = |told: &Option<Written>| matches!(told, Some(Written::Existing(stored)) if stored.id == "a");
    assert!(is_anns(&told[1]) && is_anns(&told[4]), "{told:?}");
    assert_eq!((&told[0], &told[2], &told[3]), (&None, &Some(Written::Deleted), &None));
    assert_eq!(fixture.store.existing(&drafts, &[]).await.unwrap(), []);
    assert_eq!(fixture.count("ActivityNotification").await, 2);
}

async fn an_event_twice_in_one_call_is_one_row(fixture: &Fixture) {
    let drafts = [draft("evt-1"), draft("evt-1")];
    let written = fixture.store.insert(&drafts, &[row("a", 0, "ann"), row("b", 1, "ann")], now()).await.unwrap();
    let mut ids: Vec<&str> = written
        .iter()
        .zip(["a", "b"])
        .map(|(written, id)| match written {
            Written::Inserted => id,
            Written::Existing(stored) => &stored.id,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "both speak of the same row");
    assert_eq!(fixture.count("ActivityNotification").await, 1);
}

async fn what_a_person_deleted_stays_deleted(fixture: &Fixture) {
    let drafts = [draft("evt-1")];
    fixture.store.insert(&drafts, &[row("a", 0, "ann")], now()).await.unwrap();
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = '2026-11-24T00:00:00.000Z'"#).await;
    let written = fixture.store.insert(&drafts, &[row("b", 0, "ann")], now()).await.unwrap();
    assert_eq!(written, [Written::Deleted]);
    assert_eq!(fixture.count("ActivityNotification").await, 1);
}

async fn a_taken_id_is_told_and_disturbs_no_other_row(fixture: &Fixture) {
    let drafts = [draft("evt-1"), draft("evt-2")];
    fixture.store.insert(&drafts, &[row("a", 0, "ann")], now()).await.unwrap();
    let rows = [row("a", 1, "ann"), row("b", 1, "bob"), row("c", 0, "ann")];
    let written = fixture.store.insert(&drafts, &rows, now()).await.unwrap();
    assert_eq!(written[..2], [Written::IdTaken, Written::Inserted]);
    assert!(matches!(&written[2], Written::Existing(stored) if stored.id == "a"));
    let ids = fixture.texts(r#"SELECT id FROM "ActivityNotification" ORDER BY id"#).await;
    assert_eq!(ids, ["a", "b"]);
}

async fn many_rows_fit_one_call(fixture: &Fixture) {
    let drafts: Vec<_> = (0..100).map(|n| draft(&format!("evt-{n}"))).collect();
    let rows: Vec<NewRow> =
        people(0..10_000).enumerate().map(|(n, user)| row(&format!("id-{n}"), n % 100, &user)).collect();
    let written = fixture.store.insert(&drafts, &rows, now()).await.unwrap();
    assert_eq!(written, vec![Written::Inserted; 10_000]);
    let events = fixture.texts(r#"SELECT event_id FROM "ActivityNotification" WHERE id = 'id-4242'"#).await;
    assert_eq!(events, ["evt-42"]);
}

fn member(domain: &str, user: &str) -> Member {
    Member { domain: domain.to_owned(), user_id: user.to_owned() }
}

async fn members_are_the_people_of_the_domain(fixture: &Fixture) {
    fixture
        .run(
            r#"INSERT INTO "PolicyDefinition"
                (id, variant, subject_type, subject_id, target_type, target_id, domain, deleted_at) VALUES
                ('1', 'group', 'User', 'bob', 'Role', 'staff', 'Merchant_1', NULL),
                ('2', 'group', 'User', 'ann', 'Role', 'staff', 'Merchant_1', NULL),
                ('3', 'group', 'User', 'ann', 'Role', 'owner', 'Merchant_1', NULL),
                ('4', 'group', 'User', 'gone', 'Role', 'staff', 'Merchant_1', '2026-01-01T00:00:00.000Z'),
                ('5', 'policy', 'User', 'policy', 'Role', 'staff', 'Merchant_1', NULL),
                ('6', 'group', 'Service', 'service', 'Role', 'staff', 'Merchant_1', NULL),
                ('7', 'group', 'User', 'permitted', 'Permission', 'x', 'Merchant_1', NULL),
                ('8', 'group', 'User', 'everywhere', 'Role', 'staff', NULL, NULL),
                ('9', 'group', 'User', 'eve', 'Role', 'staff', 'Merchant_2', NULL),
                ('10', 'group', 'User', 'ann', 'Role', 'staff', 'Organizer_1', NULL)"#,
        )
        .await;
    let domains = ["Merchant_1".to_owned(), "Organizer_1".to_owned(), "Merchant_none".to_owned()];
    assert_eq!(
        fixture.store.members(&domains, None, 100).await.unwrap(),
        [member("Merchant_1", "ann"), member("Merchant_1", "bob"), member("Organizer_1", "ann")]
    );
    assert_eq!(fixture.store.members(&[], None, 100).await.unwrap(), []);
}

async fn members_come_in_pages(fixture: &Fixture) {
    fixture.join("Merchant_1", people(0..25)).await;
    fixture.join("Merchant_2", people(0..5)).await;
    let domains = ["Merchant_2".to_owned(), "Merchant_1".to_owned()];
    let mut all = Vec::new();
    loop {
        let page = fixture.store.members(&domains, all.last(), 7).await.unwrap();
        let end = page.len() < 7;
        all.extend(page);
        if end {
            break;
        }
    }
    let of = |domain: &'static str, range| people(range).map(move |user| member(domain, &user));
    assert_eq!(all, of("Merchant_1", 0..25).chain(of("Merchant_2", 0..5)).collect::<Vec<_>>());
}

async fn rows_of_an_event_are_counted_and_come_in_pages(fixture: &Fixture) {
    let drafts = [draft("evt-1"), draft("evt-2")];
    let rows = [row("a", 0, "ann"), row("b", 0, "bob"), row("c", 0, "eve"), row("d", 1, "ann")];
    fixture.store.insert(&drafts, &rows, now()).await.unwrap();
    fixture.run(r#"UPDATE "ActivityNotification" SET read_at = '2026-11-24T00:00:00.000Z' WHERE id = 'b'"#).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = '2026-11-25T00:00:00.000Z' WHERE id = 'c'"#).await;
    let counts = fixture.database.count_of("evt-1").await.unwrap();
    assert_eq!(counts, EventCounts { rows: 3, read: 1, deleted: 1 });
    assert_eq!(fixture.database.count_of("evt-3").await.unwrap(), EventCounts::default());

    let first = fixture.database.rows_of("evt-1", "", 2).await.unwrap();
    let of = |id: &str, recipient: &str| EventRow {
        id: id.to_owned(),
        recipient_id: recipient.to_owned(),
        created_at: now(),
        read_at: None,
        deleted_at: None,
    };
    let read = EventRow { read_at: timestamp::parse("2026-11-24T00:00:00Z"), ..of("b", "bob") };
    assert_eq!(first, [of("a", "ann"), read]);
    let rest = fixture.database.rows_of("evt-1", "bob", 2).await.unwrap();
    assert_eq!(rest, [EventRow { deleted_at: timestamp::parse("2026-11-25T00:00:00Z"), ..of("c", "eve") }]);
}

async fn seeds_respect_what_operators_did(fixture: &Fixture) {
    assert_eq!(fixture.count("Permission").await, 6);
    assert_eq!(fixture.count("PolicyDefinition").await, 0, "the core has no roles yet");

    fixture
        .run(r#"INSERT INTO "Role" (id, identifier, name) VALUES ('r1', 'super-admin', 'x'), ('r2', 'staff', 'x')"#)
        .await;
    fixture.store.migrate(Migration::Seed).await.unwrap();
    let granted = fixture
        .texts(
            r#"SELECT code FROM "PolicyDefinition" JOIN "Permission" ON target_id = "Permission".id
               WHERE variant = 'policy' AND subject_type = 'Role' AND subject_id = 'r1' AND target_type = 'Permission'
                   AND effect = 'allow' AND "PolicyDefinition".action = "Permission".action ORDER BY code"#,
        )
        .await;
    let codes = ["broadcast", "disconnect", "get", "list", "sendToClient", "sendToRoom"];
    assert_eq!(granted, codes.map(|code| format!("WebSocketClient.{code}")));

    fixture.run(r#"UPDATE "Permission" SET name = 'Renamed' WHERE code = 'WebSocketClient.list'"#).await;
    fixture
        .run(r#"UPDATE "PolicyDefinition" SET deleted_at = '2026-01-01T00:00:00.000Z' WHERE action = 'disconnect'"#)
        .await;
    fixture.store.migrate(Migration::Seed).await.unwrap();
    assert_eq!((fixture.count("Permission").await, fixture.count("PolicyDefinition").await), (6, 6));
    let renamed = fixture.texts(r#"SELECT code FROM "Permission" WHERE name = 'Renamed'"#).await;
    assert_eq!(renamed, ["WebSocketClient.list"]);
}

async fn a_migrated_database_answers(fixture: &Fixture) {
    fixture.store.ping().await.unwrap();
}

async fn migrations_may_run_twice_and_at_once(fixture: &Fixture) {
    let url = Secret::new(&*fixture.url);
    let (one, other) = (store::open(&url).unwrap(), store::open(&url).unwrap());
    let (first, second) =
        tokio::join!(one.migrate(Migration::CoreSchemaAndSeed), other.migrate(Migration::CoreSchemaAndSeed));
    first.unwrap();
    second.unwrap();
    fixture.store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
    assert_eq!(fixture.count("Permission").await, 6);
    fixture.store.insert(&[draft("evt-1")], &[row("a", 0, "ann")], now()).await.unwrap();
    fixture.store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
    assert_eq!(fixture.count("ActivityNotification").await, 1);
}

async fn a_database_without_the_core_says_so(fixture: &Fixture) {
    for error in [fixture.store.ping().await.unwrap_err(), fixture.store.migrate(Migration::Seed).await.unwrap_err()] {
        assert!(matches!(error, StoreError::Unfit(_)), "{error:?}");
    }
    let error = fixture.store.members(&["x".to_owned()], None, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_away() {
    let nobody = format!("postgres://nobody@127.0.0.1:{}/none", signal_harness::free_port());
    for url in [nobody.as_str(), "sqlite:///nowhere/at/all.db"] {
        let store = store::open(&Secret::new(url)).unwrap();
        let error = store.ping().await.unwrap_err();
        assert!(matches!(error, StoreError::Away(_)), "{url}: {error:?}");
    }
}

#[test]
fn urls_of_other_databases_are_refused_without_being_shown() {
    for url in ["mysql://u:hunter2@db/x", "hunter2", "postgres://u:hunter2@db:port/x"] {
        let error = store::open(&Secret::new(url)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
