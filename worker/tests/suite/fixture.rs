//! A database of one test, on either dialect.

use std::sync::Arc;

use serde_json::json;
use signal_harness::Postgres;
use signal_service::Secret;
use signal_worker::store::{self, Database, Draft, Migration, Store, inbox::Inbox};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tempfile::TempDir;

/// Runs tests on a database of each dialect, which they are given.
macro_rules! on_both {
    ($empty:ident, $sqlite:expr, $postgres:expr, $($name:ident)*) => {
        mod $empty {
            use super::*;
            mod sqlite {
                use super::*;
                $(#[tokio::test] async fn $name() { super::super::$name(&$sqlite).await; })*
            }
            mod postgres {
                use super::*;
                $(#[tokio::test] async fn $name() { require!(Postgres); super::super::$name(&$postgres).await; })*
            }
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) database: Arc<dyn Database>,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) url: String,
    sql: Sql,
    _dir: Option<TempDir>,
}

enum Sql {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Fixture {
    /// With the core's tables and the seeds.
    pub(crate) async fn sqlite() -> Self {
        let fixture = Self::empty_sqlite();
        fixture.store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
        fixture
    }

    pub(crate) fn empty_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/signal.db", dir.path().display());
        let database = store::open(&Secret::new(&*url)).unwrap();
        let sql = Sql::Sqlite(SqlitePool::connect_lazy(&format!("{url}?mode=rwc")).unwrap());
        Self::new(database, url, sql, Some(dir))
    }

    pub(crate) async fn postgres() -> Self {
        let migrate = async |url: String| {
            let store = store::open(&Secret::new(url)).unwrap();
            store.migrate(Migration::CoreSchemaAndSeed).await.unwrap();
            store.close().await;
        };
        Self::on_postgres(Postgres::shared().await.database_with("core", migrate).await.url())
    }

    pub(crate) async fn empty_postgres() -> Self {
        Self::on_postgres(Postgres::shared().await.database("").await.url())
    }

    fn on_postgres(url: &str) -> Self {
        let database = store::open(&Secret::new(url)).unwrap();
        Self::new(database, url.to_owned(), Sql::Postgres(PgPool::connect_lazy(url).unwrap()), None)
    }

    fn new(database: Arc<dyn Database>, url: String, sql: Sql, dir: Option<TempDir>) -> Self {
        let (store, inbox) = (Arc::clone(&database) as _, Arc::clone(&database) as _);
        Self { store, inbox, database, url, sql, _dir: dir }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.sql, Sql::Postgres(_))
    }

    pub(crate) async fn run(&self, sql: impl Into<String>) {
        let sql = AssertSqlSafe(sql.into());
        match &self.sql {
            Sql::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Sql::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }

    /// The first column, which must be text.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        match &self.sql {
            Sql::Postgres(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Sql::Sqlite(pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        }
    }

    pub(crate) async fn count(&self, table: &'static str) -> usize {
        let sql: &'static str = match table {
            "Permission" => r#"SELECT id FROM "Permission""#,
            "PolicyDefinition" => r#"SELECT id FROM "PolicyDefinition""#,
            "ActivityNotification" => r#"SELECT id FROM "ActivityNotification""#,
            other => panic!("no such table: {other}"),
        };
        self.texts(sql).await.len()
    }

    /// Writes rows as another service would: id, recipient, when it was created, and whether it is read.
    pub(crate) async fn write(&self, rows: impl IntoIterator<Item = (String, &str, &str, bool)>) {
        let row = |(id, recipient, created_at, read): (String, &str, &str, bool)| {
            let read_at = if read { format!("'{created_at}'") } else { "NULL".to_owned() };
            format!(
                "('{id}', 'evt-{id}', 'PAYMENT_SUCCESS', '{recipient}', 'T', 'C', '{created_at}', '{created_at}', {read_at})"
            )
        };
        let rows: Vec<String> = rows.into_iter().map(row).collect();
        self.run(format!(
            r#"INSERT INTO "ActivityNotification"
                (id, event_id, type, recipient_id, title, content, created_at, modified_at, read_at) VALUES {}"#,
            rows.join(",")
        ))
        .await;
    }

    /// Makes people members of a domain, in one statement.
    pub(crate) async fn join(&self, domain: &str, users: impl IntoIterator<Item = String>) {
        let row = |user: String| format!("('{domain}/{user}', 'group', 'User', '{user}', 'Role', 'staff', '{domain}')");
        let rows: Vec<String> = users.into_iter().map(row).collect();
        self.run(format!(
            r#"INSERT INTO "PolicyDefinition"
                (id, variant, subject_type, subject_id, target_type, target_id, domain) VALUES {}"#,
            rows.join(",")
        ))
        .await;
    }
}

pub(crate) fn people(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| format!("user-{n:06}"))
}

pub(crate) fn draft(event_id: &str) -> Draft {
    let metadata = json!({ "data": { "amount": "1", "tip": null }, "later": [1.5, "Cà Phê \"79\" \\ 'x'", {"a": []}] });
    Draft {
        event_id: event_id.to_owned(),
        kind: "PAYMENT_SUCCESS".to_owned(),
        organizer_id: None,
        merchant_id: Some("mer-1".to_owned()),
        title: "Payment received".to_owned(),
        content: "125.000 ₫ from \\*order\\*, 'quoted' \"twice\"".to_owned(),
        metadata: metadata.as_object().unwrap().clone(),
    }
}
