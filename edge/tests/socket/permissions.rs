//! What policies promise, on Postgres and on SQLite.

use std::{sync::Arc, time::Duration};

use signal_auth::{Permission, Policies, PolicyError, Secret, Subject};
use signal_edge::permissions::{self, BROADCAST, DISCONNECT, GET, LIST, SEND_TO_CLIENT, SEND_TO_ROOM};
use signal_harness::{Postgres, eventually, require, scratch_dir};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tokio::{net::TcpListener, time::Instant};

use crate::fixture::SOON;

const POSTGRES_CORE: &str = include_str!("../../../migrations/core/0001_reference.sql");
const SQLITE_CORE: &str = include_str!("../../../migrations/core/sqlite/0001_reference.sql");
const PERMISSIONS: &str = include_str!("../../../migrations/seed/0001_websocket_client_permissions.sql");
const GRANTS: &str = include_str!("../../../migrations/seed/0002_websocket_client_policies.sql");

macro_rules! on_both {
    ($kind:ident, $sqlite:expr, $postgres:expr, $($name:ident)*) => {
        mod $kind {
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

on_both!(migrated, Database::sqlite().await, Database::postgres().await,
    every_row_has_its_say
    a_permission_counts_by_code_and_action
    the_seeds_give_operators_every_permission
    a_subject_that_no_row_can_name_holds_nothing
);

on_both!(empty, Database::empty_sqlite().await, Database::empty_postgres().await, a_database_without_the_core_says_so);

enum Sql {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

struct Database {
    policies: Arc<dyn Policies>,
    sql: Sql,
}

impl Database {
    async fn sqlite() -> Self {
        let database = Self::empty_sqlite().await;
        database.run(SQLITE_CORE).await;
        database.run(PERMISSIONS).await;
        database
    }

    async fn empty_sqlite() -> Self {
        let url = format!("sqlite://{}/signal.db", scratch_dir("policies").display());
        let sql = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
        Self { policies: open(&url), sql: Sql::Sqlite(sql) }
    }

    async fn postgres() -> Self {
        let database = Postgres::shared().await.database(&[POSTGRES_CORE, PERMISSIONS].concat()).await;
        Self::on_postgres(database.url())
    }

    async fn empty_postgres() -> Self {
        Self::on_postgres(Postgres::shared().await.database("").await.url())
    }

    fn on_postgres(url: &str) -> Self {
        Self { policies: open(url), sql: Sql::Postgres(PgPool::connect_lazy(url).unwrap()) }
    }

    async fn run(&self, sql: impl Into<String>) {
        let sql = AssertSqlSafe(sql.into());
        match &self.sql {
            Sql::Postgres(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
            Sql::Sqlite(pool) => drop(sqlx::raw_sql(sql).execute(pool).await.unwrap()),
        }
    }

    /// Rows of variant, subject, target, action, effect, domain, deletion.
    async fn policies(&self, rows: &str) {
        let columns =
            "id, variant, subject_type, subject_id, target_type, target_id, action, effect, domain, deleted_at";
        let numbered: Vec<String> =
            rows.lines().enumerate().map(|(at, row)| format!("('p{at}', {})", row.trim())).collect();
        self.run(format!(r#"INSERT INTO "PolicyDefinition" ({columns}) VALUES {}"#, numbered.join(","))).await;
    }

    async fn lets(&self, user: &str, permission: Permission) -> bool {
        self.policies.holds(&subject("User", user), permission).await.unwrap()
    }
}

fn open(url: &str) -> Arc<dyn Policies> {
    permissions::open(&Secret::new(url)).unwrap()
}

fn subject(kind: &str, id: &str) -> Subject {
    Subject { kind: kind.to_owned(), id: id.to_owned() }
}

/// Roles by their id: two that are as they should be, one that nobody has any more, one that is switched off.
const ROLES: &str = r#"INSERT INTO "Role" (id, identifier, name, status, deleted_at) VALUES
    ('operator', 'operator', 'x', 'activated', NULL),
    ('barred', 'barred', 'x', 'activated', NULL),
    ('local', 'local', 'x', 'activated', NULL),
    ('gone', 'gone', 'x', 'activated', '2026-01-01T00:00:00.000Z'),
    ('off', 'off', 'x', 'deactivated', NULL)"#;

const OF_ROLES: &str = "
'policy', 'Role', 'operator', 'Permission', LIST, 'list', 'allow', NULL, NULL
'policy', 'Role', 'gone', 'Permission', LIST, 'list', 'allow', NULL, NULL
'policy', 'Role', 'off', 'Permission', LIST, 'list', 'allow', NULL, NULL
'policy', 'Role', 'missing', 'Permission', LIST, 'list', 'allow', NULL, NULL
'policy', 'Role', 'barred', 'Permission', LIST, 'list', 'deny', NULL, NULL
'policy', 'Role', 'local', 'Permission', LIST, 'list', 'allow', 'Merchant_1', NULL";

/// Each person's rows (`ME` is the person), and whether they may list.
const PEOPLE: [(&str, &str, bool); 28] = [
    ("nobody", "", false),
    ("allowed", "'policy', 'User', ME, 'Permission', LIST, 'list', 'allow', NULL, NULL", true),
    ("effect-unset", "'policy', 'User', ME, 'Permission', LIST, 'list', NULL, NULL, NULL", true),
    ("action-unset", "'policy', 'User', ME, 'Permission', LIST, NULL, 'allow', NULL, NULL", true),
    ("other-action", "'policy', 'User', ME, 'Permission', LIST, 'get', 'allow', NULL, NULL", false),
    ("other-permission", "'policy', 'User', ME, 'Permission', GET, 'get', 'allow', NULL, NULL", false),
    ("other-permission-same-action", "'policy', 'User', ME, 'Permission', GET, 'list', 'allow', NULL, NULL", false),
    ("deleted", "'policy', 'User', ME, 'Permission', LIST, 'list', 'allow', NULL, '2026-01-01T00:00:00.000Z'", false),
    ("denied", "'policy', 'User', ME, 'Permission', LIST, 'list', 'deny', NULL, NULL", false),
    ("as-stored", "'policy', 'User', ME, 'Permission', LIST, 'list', 'Deny', NULL, NULL", true),
    ("of-merchant", "'policy', 'User', ME, 'Permission', LIST, 'list', 'allow', 'Merchant_1', NULL", false),
    ("no-person", "'policy', 'Service', ME, 'Permission', LIST, 'list', 'allow', NULL, NULL", false),
    ("group-at-permission", "'group', 'User', ME, 'Permission', LIST, 'list', 'allow', NULL, NULL", false),
    ("policy-at-role", "'policy', 'User', ME, 'Role', LIST, 'list', 'allow', NULL, NULL", false),
    ("operator", "'group', 'User', ME, 'Role', 'operator', NULL, NULL, NULL, NULL", true),
    ("policy-at-operator", "'policy', 'User', ME, 'Role', 'operator', NULL, NULL, NULL, NULL", false),
    ("operator-of-merchant", "'group', 'User', ME, 'Role', 'operator', NULL, NULL, 'Merchant_1', NULL", false),
    ("once-operator", "'group', 'User', ME, 'Role', 'operator', NULL, NULL, NULL, '2026-01-01T00:00:00.000Z'", false),
    ("operator-denied", "'group', 'User', ME, 'Role', 'operator', NULL, 'deny', NULL, NULL", false),
    ("operating-service", "'group', 'Service', ME, 'Role', 'operator', NULL, NULL, NULL, NULL", false),
    ("no-role", "'group', 'User', ME, 'Permission', 'operator', NULL, NULL, NULL, NULL", false),
    ("of-gone-role", "'group', 'User', ME, 'Role', 'gone', NULL, NULL, NULL, NULL", false),
    ("of-role-switched-off", "'group', 'User', ME, 'Role', 'off', NULL, NULL, NULL, NULL", false),
    ("of-missing-role", "'group', 'User', ME, 'Role', 'missing', NULL, NULL, NULL, NULL", false),
    ("of-local-role", "'group', 'User', ME, 'Role', 'local', NULL, NULL, NULL, NULL", false),
    (
        "operator-but-not-this",
        "'group', 'User', ME, 'Role', 'operator', NULL, NULL, NULL, NULL
         'policy', 'User', ME, 'Permission', LIST, NULL, 'deny', NULL, NULL",
        false,
    ),
    (
        "allowed-but-barred",
        "'policy', 'User', ME, 'Permission', LIST, 'list', 'allow', NULL, NULL
         'group', 'User', ME, 'Role', 'operator', NULL, NULL, NULL, NULL
         'group', 'User', ME, 'Role', 'barred', NULL, NULL, NULL, NULL",
        false,
    ),
    (
        "denied-elsewhere-or-before",
        "'policy', 'User', ME, 'Permission', LIST, 'list', 'allow', NULL, NULL
         'policy', 'User', ME, 'Permission', LIST, 'list', 'deny', 'Merchant_1', NULL
         'policy', 'User', ME, 'Permission', LIST, 'list', 'deny', NULL, '2026-01-01T00:00:00.000Z'
         'policy', 'User', ME, 'Permission', GET, 'get', 'deny', NULL, NULL",
        true,
    ),
];

async fn every_row_has_its_say(database: &Database) {
    database.run(ROLES).await;
    let mut rows = vec![OF_ROLES.trim().to_owned()];
    rows.extend(PEOPLE.iter().filter(|(_, rows, _)| !rows.is_empty()).map(|(id, rows, _)| {
        // No other value has the letters of a placeholder.
        rows.replace("ME", &format!("'{id}'"))
    }));
    let rows = rows.join("\n").replace("LIST", "'signal-websocket-client-list'");
    database.policies(&rows.replace("GET", "'signal-websocket-client-get'")).await;
    for (id, _, expected) in PEOPLE {
        assert_eq!(database.lets(id, LIST).await, expected, "{id}");
        assert!(!database.lets(id, DISCONNECT).await, "{id}");
    }
    for (kind, id, expected) in
        [("Service", "no-person", true), ("Service", "operating-service", true), ("Service", "allowed", false)]
    {
        assert_eq!(database.policies.holds(&subject(kind, id), LIST).await.unwrap(), expected, "{kind} {id}");
    }
}

async fn a_permission_counts_by_code_and_action(database: &Database) {
    database
        .policies("'policy', 'User', 'ann', 'Permission', 'signal-websocket-client-list', 'list', 'allow', NULL, NULL")
        .await;
    assert!(database.lets("ann", LIST).await);
    assert!(!database.lets("ann", Permission { code: "WebSocketClient.list", action: "get" }).await);
    assert!(!database.lets("ann", Permission { code: "websocketclient.list", action: "list" }).await);
    database.run(r#"UPDATE "Permission" SET action = 'read' WHERE code = 'WebSocketClient.list'"#).await;
    assert!(!database.lets("ann", LIST).await, "the row is about another action now");
    database.run(r#"UPDATE "Permission" SET action = 'list', deleted_at = '2026-01-01T00:00:00.000Z'"#).await;
    assert!(!database.lets("ann", LIST).await, "the permission is deleted");
}

async fn the_seeds_give_operators_every_permission(database: &Database) {
    database.run(r#"INSERT INTO "Role" (id, identifier, name) VALUES ('r1', 'super-admin', 'x')"#).await;
    database.run(GRANTS).await;
    database.policies("'group', 'User', 'ann', 'Role', 'r1', NULL, NULL, NULL, NULL").await;
    for permission in [LIST, GET, BROADCAST, SEND_TO_ROOM, SEND_TO_CLIENT, DISCONNECT] {
        assert!(database.lets("ann", permission).await, "{permission:?}");
        assert!(!database.lets("bob", permission).await, "{permission:?}");
    }
}

async fn a_subject_that_no_row_can_name_holds_nothing(database: &Database) {
    for id in ["a\0b", "'; DROP TABLE \"Role\"; --", "", "%"] {
        assert!(!database.lets(id, LIST).await, "{id:?}");
    }
    assert!(!database.policies.holds(&subject("User\0", "ann"), LIST).await.unwrap());
}

async fn a_database_without_the_core_says_so(database: &Database) {
    let error = database.policies.holds(&subject("User", "ann"), LIST).await.unwrap_err();
    assert!(matches!(error, PolicyError::Schema(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_away_until_it_is_made() {
    let dir = scratch_dir("policies");
    let url = format!("sqlite://{}/signal.db", dir.display());
    let policies = open(&url);
    let error = policies.holds(&subject("User", "ann"), LIST).await.unwrap_err();
    assert!(matches!(error, PolicyError::Away(_)), "{error:?}");
    assert!(!dir.join("signal.db").exists(), "who only reads makes no file");
    let sql = SqlitePool::connect(&format!("{url}?mode=rwc")).await.unwrap();
    sqlx::raw_sql(SQLITE_CORE).execute(&sql).await.unwrap();
    assert!(!policies.holds(&subject("User", "ann"), LIST).await.unwrap());
}

#[tokio::test]
async fn a_database_that_stops_is_away_soon_and_back_when_it_starts() {
    require!(Postgres);
    let server = Postgres::launch().await;
    let database = server.database(&[POSTGRES_CORE, PERMISSIONS].concat()).await;
    let policies = open(database.url());
    let ann = subject("User", "ann");
    assert!(!policies.holds(&ann, LIST).await.unwrap());
    server.stop().await;
    for _ in 0..2 {
        let asked = Instant::now();
        let error = policies.holds(&ann, LIST).await.unwrap_err();
        assert!(matches!(error, PolicyError::Away(_)), "{error:?}");
        assert!(asked.elapsed() < Duration::from_secs(4), "took {:?}", asked.elapsed());
    }
    server.start().await;
    eventually(SOON, || async { policies.holds(&ann, LIST).await.map(drop) }).await;
}

#[tokio::test]
async fn a_question_is_bounded_whatever_the_database_does() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let policies = open(&format!("postgres://nobody@{}/none", silent.local_addr().unwrap()));
    let asked = Instant::now();
    let error = policies.holds(&subject("User", "ann"), LIST).await.unwrap_err();
    assert!(matches!(error, PolicyError::Away(_) | PolicyError::TimedOut), "{error:?}");
    assert!(asked.elapsed() < Duration::from_secs(4), "took {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_question_that_is_kept_waiting_ends_on_both_sides() {
    require!(Postgres);
    let database = Database::postgres().await;
    assert!(!database.lets("ann", LIST).await);
    let Sql::Postgres(pool) = &database.sql else { unreachable!("it is on Postgres") };
    let mut lock = pool.begin().await.unwrap();
    sqlx::raw_sql(r#"LOCK TABLE "PolicyDefinition" IN ACCESS EXCLUSIVE MODE"#).execute(&mut *lock).await.unwrap();
    let error = database.policies.holds(&subject("User", "ann"), LIST).await.unwrap_err();
    assert!(matches!(error, PolicyError::Away(_) | PolicyError::TimedOut), "{error:?}");
    // The table is still locked: a statement that only its client gave up would wait on.
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'signal-edge' AND datname = current_database() AND state = 'active'";
    eventually(SOON, || async {
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap();
        waiting == 0
    })
    .await;
    lock.rollback().await.unwrap();
    eventually(SOON, || async { database.policies.holds(&subject("User", "ann"), LIST).await }).await;
}

#[tokio::test]
async fn a_hundred_thousand_policies_are_never_read_from_end_to_end() {
    require!(Postgres);
    let database = Database::postgres().await;
    let Sql::Postgres(pool) = &database.sql else { unreachable!("it is on Postgres") };
    database.run(ROLES).await;
    database
        .run(
            r#"INSERT INTO "PolicyDefinition" (id, variant, subject_type, subject_id, target_type, target_id, action)
               SELECT 'u' || n, 'policy', 'User', 'user-' || n / 4, 'Permission', 'p' || n, 'list'
               FROM generate_series(1, 80000) AS n
               UNION ALL SELECT 'g' || n, 'group', 'User', 'user-' || n, 'Role', 'operator', NULL
               FROM generate_series(1, 19000) AS n
               UNION ALL SELECT 'r' || n, 'policy', 'Role', 'operator', 'Permission', 'p' || n, 'list'
               FROM generate_series(1, 1000) AS n;
               ANALYZE"#,
        )
        .await;
    let scans = r#"SELECT seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'PolicyDefinition'"#;
    let before: (i64, i64) = sqlx::query_as(scans).fetch_one(pool).await.unwrap();
    // Beyond five executions Postgres may change to a plan that no longer looks at the values.
    const QUESTIONS: i64 = 12;
    for n in 0..QUESTIONS {
        assert!(!database.lets(&format!("user-{n}"), LIST).await);
    }
    // A backend counts its scans at the latest when it ends.
    database.policies.close().await;
    eventually(SOON, || async {
        let now: (i64, i64) = sqlx::query_as(scans).fetch_one(pool).await.unwrap();
        if now.1 - before.1 < QUESTIONS {
            return Err(format!("{before:?}, then {now:?}"));
        }
        assert_eq!(now.0, before.0, "scans of the whole table");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn urls_of_other_databases_are_refused_without_being_shown() {
    for url in ["mysql://u:hunter2@db/x", "hunter2", "postgres://u:hunter2@db:port/x"] {
        let error = permissions::open(&Secret::new(url)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
