//! What a migration asks of a database before it touches it, on Postgres and on SQLite.

mod core;
mod variants;

use signal_harness::{Postgres, require};
use signal_service::Secret;
use signal_worker::{
    migrate::expected::{Kind, TABLES},
    store::{self, Migration, NewRow, StoreError, Written},
};
use time::OffsetDateTime;

use self::core::Core;
use crate::fixture::{Fixture, draft, on_both};

on_both!(reference, Fixture::sqlite().await, Fixture::postgres().await,
    the_reference_fits_and_nothing_is_to_be_warned_of
    the_reference_and_the_declaration_do_not_drift
);

on_both!(another, Fixture::empty_sqlite(), Fixture::empty_postgres().await,
    what_is_declared_is_all_that_is_needed
    everything_that_differs_is_said_at_once
    what_is_only_slow_or_short_is_a_warning
    a_refused_database_is_left_as_it_was
    a_check_changes_nothing
    tables_that_are_missing_are_made_beside_those_that_fit
);

/// What a check says, line by line.
async fn differences(fixture: &Fixture) -> Vec<String> {
    let refused = match fixture.store.migrate(Migration::Check).await {
        Ok(_) => Vec::new(),
        Err(StoreError::Unfit(unfit)) => unfit.0.iter().map(ToString::to_string).collect(),
        Err(error) => panic!("{error:?}"),
    };
    let ping = fixture.store.ping().await;
    assert_eq!(ping.is_err(), !refused.is_empty(), "a ping and a check agree: {ping:?}");
    refused
}

async fn warnings(fixture: &Fixture) -> Vec<String> {
    fixture.store.migrate(Migration::Check).await.unwrap().iter().map(ToString::to_string).collect()
}

/// Whether all that the worker does with a database can be done with this one, which has the role that is granted to.
async fn works(fixture: &Fixture) {
    fixture.store.migrate(Migration::Seed).await.unwrap();
    fixture.store.migrate(Migration::Seed).await.unwrap();
    assert_eq!((fixture.count("Permission").await, fixture.count("PolicyDefinition").await), (6, 6));
    fixture
        .run(
            r#"INSERT INTO "PolicyDefinition"
                (id, variant, subject_type, subject_id, target_type, target_id, action, effect, domain)
            VALUES ('m', 'group', 'User', 'ann', 'Role', 'r1', 'x', 'allow', 'Merchant_1')"#,
        )
        .await;
    let members = fixture.store.members(&["Merchant_1".to_owned()], None, 10).await.unwrap();
    assert_eq!(members.len(), 1);
    let row = |id: &str| NewRow {
        id: id.to_owned(),
        draft: 0,
        recipient_id: "ann".to_owned(),
        created_at: OffsetDateTime::UNIX_EPOCH,
    };
    let now = OffsetDateTime::UNIX_EPOCH;
    let drafts = [draft("evt-1")];
    assert_eq!(fixture.store.insert(&drafts, &[row("a")], now).await.unwrap(), [Written::Inserted]);
    let again = fixture.store.insert(&drafts, &[row("b")], now).await.unwrap();
    let Written::Existing(stored) = &again[0] else { panic!("{again:?}") };
    assert_eq!((&stored.draft, stored.created_at), (&drafts[0], now));
}

async fn the_reference_fits_and_nothing_is_to_be_warned_of(fixture: &Fixture) {
    assert_eq!(differences(fixture).await, [""; 0]);
    assert_eq!(warnings(fixture).await, [""; 0]);
}

/// Columns of the reference that nothing of Signal reads or fills.
const CORE_ALONE: [&str; 9] = [
    "Permission.created_at",
    "Permission.modified_at",
    "Permission.parent_id",
    "PolicyDefinition.created_at",
    "PolicyDefinition.modified_at",
    "Role.created_at",
    "Role.modified_at",
    "Role.name",
    "Role.priority",
];

async fn the_reference_and_the_declaration_do_not_drift(fixture: &Fixture) {
    let sql = if fixture.is_postgres() {
        "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns
         WHERE table_schema = 'public'"
    } else {
        "SELECT t.name || '.' || c.name || ' ' || c.type FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
         WHERE t.type = 'table'"
    };
    let mut reference = fixture.texts(sql).await;
    for table in TABLES {
        for column in table.columns {
            let kind = match (fixture.is_postgres(), column.kind) {
                (false, _) => "TEXT",
                (true, Kind::Text | Kind::Word(_)) => "text",
                (true, Kind::Time | Kind::Mark) => "timestamp with time zone",
                (true, Kind::Json) => "jsonb",
            };
            let line = format!("{}.{} {kind}", table.name, column.name);
            let at = reference.iter().position(|own| *own == line);
            reference.swap_remove(at.unwrap_or_else(|| panic!("{line} is not in the reference")));
        }
    }
    let mut rest: Vec<&str> = reference.iter().map(|line| line.split(' ').next().unwrap()).collect();
    rest.sort_unstable();
    assert_eq!(rest, CORE_ALONE, "declare what Signal uses, or say that the core alone does");
}

async fn what_is_declared_is_all_that_is_needed(fixture: &Fixture) {
    for table in TABLES {
        let columns = table.columns.iter().map(|column| {
            let kind = match (fixture.is_postgres(), column.kind) {
                (false, _) | (true, Kind::Text | Kind::Word(_)) => "text",
                (true, Kind::Time | Kind::Mark) => "timestamptz",
                (true, Kind::Json) => "jsonb",
            };
            format!("{} {kind}{}", column.name, if column.nullable { "" } else { " NOT NULL" })
        });
        let keys = table.keys.iter().map(|key| format!("UNIQUE ({})", key.join(", ")));
        let lines: Vec<String> = columns.chain(keys).collect();
        fixture.run(format!("CREATE TABLE \"{}\" ({})", table.name, lines.join(", "))).await;
    }
    fixture.run(r#"INSERT INTO "Role" (id, identifier, status) VALUES ('r1', 'super-admin', 'activated')"#).await;
    assert_eq!(differences(fixture).await, [""; 0]);
    works(fixture).await;
}

async fn everything_that_differs_is_said_at_once(fixture: &Fixture) {
    for table in &TABLES[..3] {
        fixture.run(format!("CREATE TABLE \"{}\" (other text NOT NULL)", table.name)).await;
    }
    let said = differences(fixture).await;
    for table in &TABLES[..3] {
        for column in table.columns {
            let begin = format!("\"{}\".{} is missing: it has to be ", table.name, column.name);
            assert_eq!(said.iter().filter(|line| line.starts_with(&begin)).count(), 1, "{begin}: {said:#?}");
        }
        for key in table.keys {
            let line = format!("\"{}\" ({}) has no unique key", table.name, key.join(", "));
            assert!(said.contains(&line), "{line}: {said:#?}");
        }
        let begin = format!("\"{}\".other is not null and has no default", table.name);
        assert!(said.iter().any(|line| line.starts_with(&begin)), "{begin}: {said:#?}");
    }
    assert!(said.contains(&"\"Role\": there is no such table".to_owned()), "{said:#?}");
    let expected: usize = TABLES[..3].iter().map(|table| table.columns.len() + table.keys.len() + 1).sum();
    assert_eq!(said.len(), expected + 1, "{said:#?}");
}

async fn what_is_only_slow_or_short_is_a_warning(fixture: &Fixture) {
    let mut expected = vec![
        "\"ActivityNotification\" has no index that begins with (recipient_id, created_at): what looks rows up by it is slow",
        "\"PolicyDefinition\" has no index that begins with (domain, subject_id): what looks rows up by it is slow",
        "\"PolicyDefinition\" has no index that begins with (subject_type, subject_id): what looks rows up by it is slow",
    ];
    assert_eq!(warnings(&Core::of(fixture).build().await).await, expected);
    let mut core = Core::of(fixture)
        .then("CREATE INDEX i ON \"PolicyDefinition\" (domain, subject_id, subject_type)")
        .then("CREATE INDEX j ON \"PolicyDefinition\" (subject_id, subject_type)");
    expected.remove(1);
    if fixture.is_postgres() {
        core = core
            .with("ActivityNotification", "content", "content varchar(255) NOT NULL")
            .and("ActivityNotification", "tenant text NOT NULL")
            .then("CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tenant := ''t''; RETURN NEW; END'")
            .then("CREATE TRIGGER f BEFORE INSERT ON \"ActivityNotification\" FOR EACH ROW EXECUTE FUNCTION fill()");
        expected.splice(..0, [
            "\"ActivityNotification\".content holds 255 characters: what is longer is refused, and Signal may write 1000",
            "\"ActivityNotification\".tenant is not null and has no default: Signal leaves it out, so that a trigger has to \
             fill it",
        ]);
    }
    let fixture = core.build().await;
    assert_eq!(warnings(&fixture).await, expected);
    let applied = fixture.store.migrate(Migration::Seed).await.unwrap();
    assert_eq!(applied.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    let row =
        NewRow { id: "a".to_owned(), draft: 0, recipient_id: "ann".to_owned(), created_at: OffsetDateTime::UNIX_EPOCH };
    fixture.store.insert(&[draft("evt-1")], &[row], OffsetDateTime::UNIX_EPOCH).await.unwrap();
}

/// All that a migration could have changed: of a catalog also when it was.
async fn state(fixture: &Fixture) -> Vec<String> {
    let mut state = fixture
        .texts(if fixture.is_postgres() {
            "SELECT concat_ws(' ', 'class', oid, relname, relnatts, relhasindex, relfilenode, xmin, ctid) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace
             UNION ALL SELECT concat_ws(' ', 'attribute', attrelid, attname, atttypid, attnotnull, xmin, ctid)
             FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
             UNION ALL SELECT concat_ws(' ', 'constraint', oid, conname, xmin) FROM pg_constraint
             ORDER BY 1"
        } else {
            "SELECT type || ' ' || name || ' ' || rootpage || ' ' || coalesce(sql, '') FROM sqlite_schema
             UNION ALL SELECT 'version ' || schema_version FROM pragma_schema_version
             ORDER BY 1"
        })
        .await;
    for table in ["Permission", "PolicyDefinition"] {
        state.push(format!("{table}: {}", fixture.count(table).await));
    }
    state
}

async fn a_refused_database_is_left_as_it_was(fixture: &Fixture) {
    let permission =
        r#"INSERT INTO "Permission" (id, code, name, subject, action, scope) VALUES ('p', 'c', 'n', 's', 'a', 'o')"#;
    // All that is wrong is in the table that no script touches, and one that a script makes is missing.
    let core = Core::of(fixture).without_table("Role").keyed("").then(permission);
    let fixture = core.build().await;
    let before = state(&fixture).await;
    assert_eq!(before.last().unwrap(), "PolicyDefinition: 0");
    for migration in [Migration::Seed, Migration::CoreSchemaAndSeed, Migration::Check] {
        let error = fixture.store.migrate(migration).await.unwrap_err();
        let StoreError::Unfit(unfit) = error else { panic!("{error:?}") };
        let said = unfit.to_string();
        assert!(said.contains("\"ActivityNotification\" (event_id, recipient_id) has no unique key"), "{said}");
        let to_be_made = said.contains("\"Role\": there is no such table");
        assert_eq!(to_be_made, migration != Migration::CoreSchemaAndSeed, "{said}");
        assert_eq!(state(&fixture).await, before, "{migration:?}");
    }
}

async fn a_check_changes_nothing(fixture: &Fixture) {
    let fixture = Core::of(fixture).build().await;
    let before = state(&fixture).await;
    fixture.store.migrate(Migration::Check).await.unwrap();
    assert_eq!(state(&fixture).await, before);
    assert_eq!(fixture.count("Permission").await, 0);
    fixture.store.migrate(Migration::Seed).await.unwrap();
    assert_ne!(state(&fixture).await, before, "the seeds are seen");
}

async fn tables_that_are_missing_are_made_beside_those_that_fit(fixture: &Fixture) {
    let fixture = Core::of(fixture).without_table("Role").without_table("ActivityNotification").build().await;
    assert_eq!(differences(&fixture).await.len(), 2);
    assert_eq!(fixture.store.migrate(Migration::CoreSchemaAndSeed).await.unwrap(), []);
    assert_eq!(fixture.count("Permission").await, 6);
    assert_eq!(differences(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn tables_are_looked_for_along_the_search_path() {
    require!(Postgres);
    let postgres = Postgres::shared().await;
    let database = postgres.database("").await;
    postgres.sql(database.name(), "create schema core").await;
    let within = Secret::new(format!("{}?options[search_path]=core", database.url()));
    let (there, elsewhere) = (store::open(&within).unwrap(), store::open(&Secret::new(database.url())).unwrap());
    there.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
    there.ping().await.unwrap();
    let error = elsewhere.migrate(Migration::Seed).await.unwrap_err();
    assert!(error.to_string().contains("there is core.\"ActivityNotification\""), "{error}");
    let tables = "select count(*) from pg_tables where schemaname in ('public', 'core')";
    assert_eq!(postgres.sql(database.name(), tables).await, "4");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made_by_a_check() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("signal.db");
    let store = store::open(&Secret::new(format!("sqlite://{}", file.display()))).unwrap();
    let error = store.migrate(Migration::Check).await.unwrap_err();
    assert!(matches!(error, StoreError::Away(_)), "{error:?}");
    assert!(!file.exists());
}
