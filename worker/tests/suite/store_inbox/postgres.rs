//! What holds on Postgres in particular: which indexes are read, whatever collation and isolation there is.

use std::{collections::HashSet, time::Duration};

use signal_harness::{Postgres, eventually, require};
use signal_service::Secret;
use signal_worker::store::{
    self,
    inbox::{Inbox, Scope, Which},
};

use super::{AT, listed, markings_count_one_after_the_other_and_versions_say_in_which_order, now, of};
use crate::fixture::Fixture;

/// Rows of 200 people, 500 each, of which ten are unread.
async fn crowd() -> Fixture {
    let fixture = Fixture::postgres().await;
    fixture
        .run(
            r#"INSERT INTO "ActivityNotification"
                (id, event_id, type, recipient_id, title, content, created_at, read_at)
            SELECT 'id-' || n, 'evt-' || n, 'PAYMENT_SUCCESS', 'user-' || n % 200, 'T', 'C',
                timestamptz '2026-11-23 08:00:00Z' + n * interval '1 second',
                CASE WHEN n / 200 % 50 = 0 THEN NULL ELSE now() END
            FROM generate_series(0, 99999) AS n"#,
        )
        .await;
    fixture.run(ANALYZE).await;
    fixture
}

const ANALYZE: &str = r#"ANALYZE "ActivityNotification""#;

/// How often an index was read, and how many of its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reads {
    scans: u64,
    entries: u64,
}

#[derive(Debug, Default)]
struct Plan {
    inbox: Reads,
    unread: Reads,
}

/// What Postgres has read for `work`, by its own count.
async fn plan(fixture: &Fixture, work: impl AsyncFnOnce(&dyn Inbox)) -> Plan {
    fixture.texts("SELECT pg_stat_reset()::text").await;
    let store = store::open(&Secret::new(&*fixture.url)).unwrap();
    work(&*store).await;
    // A session's counts are all there once it has ended.
    store.close().await;
    eventually(Duration::from_secs(30), || async {
        let rows = fixture.texts(
            r#"SELECT concat_ws(' ', indexrelname, idx_scan, idx_tup_read) FROM pg_stat_user_indexes
               UNION ALL
               SELECT 'session' FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'signal-worker'"#,
        );
        let mut plan = Plan::default();
        for row in rows.await {
            let parts: Vec<&str> = row.split(' ').collect();
            let reads = |at: usize| parts[at].parse().unwrap();
            match parts[0] {
                "ActivityNotification_inbox_idx" => plan.inbox = Reads { scans: reads(1), entries: reads(2) },
                "ActivityNotification_unread_idx" => plan.unread = Reads { scans: reads(1), entries: reads(2) },
                "session" => return Err("a session has not ended".to_owned()),
                _ => {}
            }
        }
        let any = plan.inbox.scans + plan.unread.scans > 0;
        if any { Ok(plan) } else { Err("nothing has been counted".to_owned()) }
    })
    .await
}

/// As often as it takes for Postgres to settle on a plan that is not made for the parameters at hand.
const TIMES: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_among_many_reads_no_more_than_its_page() {
    require!(Postgres);
    let fixture = crowd().await;
    for collation in [None, Some("en-x-icu")] {
        if let Some(collation) = collation {
            // The core's own table has the collation of its database.
            fixture
                .run(format!(r#"ALTER TABLE "ActivityNotification" ALTER id TYPE text COLLATE "{collation}""#))
                .await;
            fixture.run(r#"ANALYZE "ActivityNotification""#).await;
        }
        let plan = plan(&fixture, async |inbox| {
            for _ in 0..TIMES {
                let first = inbox.page(of("user-7"), None, 20).await.unwrap();
                let second = inbox.page(of("user-7"), first.next.as_ref(), 20).await.unwrap();
                assert_eq!((first.rows.len(), second.rows.len()), (20, 20));
            }
        })
        .await;
        let entries = plan.inbox.entries;
        assert_eq!((plan.inbox.scans, plan.unread.scans), (2 * TIMES as u64, 0), "{collation:?} {plan:?}");
        assert!(entries <= 2 * TIMES as u64 * 21, "{entries} entries read for pages of 20");
    }
    let listed = listed(&*fixture.inbox, of("user-7"), 37).await;
    assert_eq!((listed.len(), listed.iter().collect::<HashSet<_>>().len()), (500, 500));
}

#[tokio::test]
async fn markings_count_right_whatever_isolation_the_database_gives_by_default() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    let database = fixture.url.rsplit('/').next().unwrap().to_owned();
    fixture.run(format!("ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'")).await;
    markings_count_one_after_the_other_and_versions_say_in_which_order(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unread_among_many_is_found_by_its_own_index() {
    require!(Postgres);
    let fixture = crowd().await;
    let scope = Scope { unread: Some(true), ..of("user-7") };
    let plan = plan(&fixture, async |inbox| {
        for _ in 0..TIMES {
            assert_eq!(inbox.count(scope).await.unwrap(), 10);
            assert_eq!(inbox.page(scope, None, 20).await.unwrap().rows.len(), 10);
        }
        assert_eq!(inbox.mark("user-7", Which::All { before: None }, now()).await.unwrap().unwrap().updated, 10);
    })
    .await;
    // Of the marking, one finds what is unread and one counts what is left.
    assert_eq!((plan.inbox.scans, plan.unread.scans), (0, 2 * TIMES as u64 + 2), "{plan:?}");
    assert!(plan.unread.entries <= 2 * TIMES as u64 * 10 + 20, "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_in_the_order_of_another_collation_are_paged_all_the_same() {
    require!(Postgres);
    let fixture = Fixture::postgres().await;
    fixture.run(r#"ALTER TABLE "ActivityNotification" ALTER id TYPE text COLLATE "en-x-icu""#).await;
    let names = ["a", "A", "aa", "B", "b", "Z", "z", "0", "09", "IVUX", "IVUx", "ivux", "á", "-a", "_"];
    fixture.write(names.map(|name| (name.to_owned(), "ann", AT, false))).await;
    for limit in 1..=names.len() {
        let seen = listed(&*fixture.inbox, of("ann"), limit).await;
        let once: HashSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), once.len()), (names.len(), names.len()), "limit {limit}: {seen:?}");
    }
}
