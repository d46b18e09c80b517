//! Connections to Postgres that are open and carry nothing, while new ones would: what a failover leaves behind.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use signal_harness::{Chaos, Postgres, eventually, require};
use signal_service::Secret;
use signal_worker::store::{self, Database, NewRow, Written, inbox::Scope};
use sqlx::{AssertSqlSafe, PgPool, Transaction};
use time::OffsetDateTime;

use crate::fixture::{Fixture, draft};

/// More than any of the bounds that hold here, and less than the hours in which the system would notice.
const AT_LAST: Duration = Duration::from_secs(60);

/// Connections of the notification API.
const OPEN: usize = 8;

/// A way into the same database that can be made bad.
fn through_chaos(fixture: &Fixture) -> (Chaos, Arc<dyn Database>) {
    let (host, database) = fixture.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let chaos = Chaos::before(host.parse().unwrap());
    let url = format!("postgres://postgres@{}/{database}", chaos.addr());
    (chaos, store::open(&Secret::new(url)).unwrap())
}

/// A lock on the table: whoever is to be stranded waits for it, and so is in the middle of something.
struct Gate {
    pool: PgPool,
    held: Transaction<'static, sqlx::Postgres>,
}

impl Gate {
    async fn close(fixture: &Fixture, mode: &str) -> Self {
        let pool = PgPool::connect(&fixture.url).await.unwrap();
        let mut held = pool.begin().await.unwrap();
        let lock = format!(r#"LOCK TABLE "ActivityNotification" IN {mode} MODE"#);
        sqlx::query(AssertSqlSafe(lock)).execute(&mut *held).await.unwrap();
        Self { pool, held }
    }

    async fn is_waited_for_by(&self, sessions: usize) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually(AT_LAST, || async {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&self.pool).await.unwrap();
            count as usize == sessions
        })
        .await;
    }

    async fn open(self) {
        self.held.commit().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_in_use_when_it_was_stranded_does_not_use_up_the_pool() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    let (chaos, database) = through_chaos(&fixture);
    let page = || database.page(Scope { recipient_id: "ann", unread: None, kind: None }, None, 10);
    let gate = Gate::close(&fixture, "ACCESS EXCLUSIVE").await;
    let stranding = async {
        gate.is_waited_for_by(OPEN).await;
        chaos.strand();
        gate.open().await;
    };
    // As many as the API may have are asked something, and never hear the answer.
    let (pages, ()) = tokio::join!(join_all((0..OPEN).map(|_| page())), stranding);
    assert!(pages.iter().all(Result::is_err));
    eventually(AT_LAST, || async { page().await.map(drop) }).await;
}

#[tokio::test]
async fn a_transaction_whose_client_is_out_of_reach_does_not_keep_its_rows_from_others() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    let (chaos, database) = through_chaos(&fixture);
    let (drafts, now) = ([draft("evt-1")], OffsetDateTime::UNIX_EPOCH);
    let row = |id: &str| [NewRow { id: id.to_owned(), draft: 0, recipient_id: "ann".to_owned(), created_at: now }];
    // So that there is a connection that knows the statement.
    assert!(database.insert(&[draft("evt-0")], &row("id-0"), now).await.is_ok());
    // What it writes has to wait, so that it is stranded with its rows written and not yet committed.
    let gate = Gate::close(&fixture, "EXCLUSIVE").await;
    let (theirs, rows) = (drafts.clone(), row("id-1"));
    let stranded = tokio::spawn(async move { database.insert(&theirs, &rows, now).await });
    gate.is_waited_for_by(1).await;
    chaos.strand();
    gate.open().await;

    let again = row("id-2");
    let written = tokio::time::timeout(AT_LAST, async {
        loop {
            // Each try waits for the transaction that holds the rows, as the pipeline would.
            if let Ok(written) = fixture.store.insert(&drafts, &again, now).await {
                return written;
            }
        }
    });
    assert_eq!(written.await.expect("the rows are kept"), [Written::Inserted]);
    stranded.abort();
}
