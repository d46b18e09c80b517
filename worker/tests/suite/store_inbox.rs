//! What a store promises of a person's inbox, on Postgres and on SQLite.

mod postgres;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use signal_harness::{Postgres, require};
use signal_service::Secret;
use signal_wire::timestamp;
use signal_worker::store::{
    self, StoreError,
    inbox::{Inbox, Marked, Page, Place, Scope, Which},
};
use time::OffsetDateTime;

use crate::fixture::{Fixture, draft, on_both};

on_both!(migrated, Fixture::sqlite().await, Fixture::postgres().await,
    pages_show_every_row_once_newest_first
    a_page_ends_with_the_list
    times_finer_than_what_is_shown_neither_skip_nor_repeat
    rows_that_come_meanwhile_disturb_no_page
    filters_are_the_same_for_lists_and_counts
    places_of_nobodys_making_are_refused
    a_page_of_large_rows_ends_early
    only_what_was_unread_and_the_persons_own_is_marked
    all_are_marked_or_those_before_a_moment
    markings_count_one_after_the_other_and_versions_say_in_which_order
    a_clock_that_goes_back_turns_no_version_back
    names_that_no_row_can_have_have_nothing
);

const AT: &str = "2026-11-23T08:00:00.000Z";

fn of(recipient_id: &str) -> Scope<'_> {
    Scope { recipient_id, unread: None, kind: None }
}

fn ids(page: &Page) -> Vec<String> {
    page.rows.iter().map(|row| row.id.clone()).collect()
}

/// All pages, each by the place that the one before has given, encoded and decoded as on its way through a client.
async fn pages(inbox: &dyn Inbox, scope: Scope<'_>, limit: usize) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    loop {
        let after = pages.last().and_then(|page| page.next.as_ref());
        let after = after.map(|place| Place::decode(&place.encode()).unwrap());
        pages.push(inbox.page(scope, after.as_ref(), limit).await.unwrap());
        if pages.last().unwrap().next.is_none() {
            return pages;
        }
        assert!(pages.len() < 1000, "a list without end");
    }
}

async fn listed(inbox: &dyn Inbox, scope: Scope<'_>, limit: usize) -> Vec<String> {
    pages(inbox, scope, limit).await.iter().flat_map(ids).collect()
}

async fn mark(fixture: &Fixture, recipient: &str, ids: &[&str]) -> Option<Marked> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    fixture.inbox.mark(recipient, Which::These(&ids), now()).await.unwrap()
}

fn now() -> OffsetDateTime {
    timestamp::parse("2026-11-24T10:00:00.123Z").unwrap()
}

async fn unread(fixture: &Fixture, recipient: &str) -> u64 {
    fixture.inbox.count(Scope { unread: Some(true), ..of(recipient) }).await.unwrap()
}

async fn pages_show_every_row_once_newest_first(fixture: &Fixture) {
    // Three seconds, in each of which ids differ by case and length alone.
    let names = ["a", "A", "aa", "B", "b", "Z", "z", "0", "09", "IVUX", "IVUx", "ivux"];
    let times = ["2026-11-23T08:00:00.000Z", "2026-11-23T08:00:01.000Z", "2026-11-23T08:00:02.000Z"];
    for (n, at) in times.into_iter().enumerate() {
        fixture.write(names.map(|name| (format!("{name}{n}"), "ann", at, false))).await;
    }
    fixture.write([("other".to_owned(), "bob", times[1], false), ("gone".to_owned(), "ann", times[1], false)]).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = '2026-11-24T00:00:00.000Z' WHERE id = 'gone'"#).await;

    let mut expected: Vec<(usize, String)> = (0..3).flat_map(|n| names.map(|name| (n, format!("{name}{n}")))).collect();
    expected.sort();
    let expected: Vec<String> = expected.into_iter().rev().map(|(_, id)| id).collect();
    for limit in [1, 2, 5, 12, 100] {
        assert_eq!(listed(&*fixture.inbox, of("ann"), limit).await, expected, "limit {limit}");
    }
    let row = fixture.inbox.page(of("bob"), None, 1).await.unwrap().rows.remove(0);
    assert_eq!((row.recipient_id.as_str(), row.draft.title.as_str()), ("bob", "T"));
    assert_eq!(row.created_at, timestamp::parse(times[1]).unwrap());
    assert_eq!(fixture.inbox.page(of("nobody"), None, 10).await.unwrap(), Page::default());
}

async fn a_page_ends_with_the_list(fixture: &Fixture) {
    fixture.write((0..6).map(|n| (format!("id-{n}"), "ann", AT, false))).await;
    for (limit, sizes) in [(2, vec![2, 2, 2]), (3, vec![3, 3]), (4, vec![4, 2]), (6, vec![6]), (7, vec![6])] {
        let pages = pages(&*fixture.inbox, of("ann"), limit).await;
        assert_eq!(pages.iter().map(|page| page.rows.len()).collect::<Vec<_>>(), sizes);
    }
}

async fn times_finer_than_what_is_shown_neither_skip_nor_repeat(fixture: &Fixture) {
    // All of them show as .867 or .868; ids go the other way than times.
    let times = ["867Z", "867001Z", "867002Z", "867999Z", "868Z", "868000Z", "868001Z"];
    let times = times.map(|fraction| format!("2026-11-23T08:00:00.{fraction}"));
    let rows = times.iter().enumerate().map(|(n, at)| (format!("id-{}", 9 - n), "ann", at.as_str(), false));
    fixture.write(rows).await;
    for limit in 1..=8 {
        let seen = listed(&*fixture.inbox, of("ann"), limit).await;
        let once: HashSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), once.len()), (times.len(), times.len()), "limit {limit}: {seen:?}");
    }
}

async fn rows_that_come_meanwhile_disturb_no_page(fixture: &Fixture) {
    fixture.write((0..40).map(|n| (format!("old-{n:02}"), "ann", AT, false))).await;
    let (mut after, mut seen, mut came) = (None, Vec::new(), 0);
    loop {
        let page = fixture.inbox.page(of("ann"), after.as_ref(), 7).await.unwrap();
        seen.extend(ids(&page));
        // One newer than everything, one with the time of all the others and an id above theirs.
        let rows = [(format!("new-{came}"), "2026-11-23T09:00:00.000Z"), (format!("tie-{came}"), AT)];
        fixture.write(rows.map(|(id, at)| (id, "ann", at, false))).await;
        came += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..40).rev().map(|n| format!("old-{n:02}")).collect();
    assert_eq!(seen, expected);
    assert!(came >= 6);
}

async fn filters_are_the_same_for_lists_and_counts(fixture: &Fixture) {
    fixture.write((0..10).map(|n| (format!("id-{n}"), "ann", AT, n % 2 == 0))).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET type = 'REFUND' WHERE id IN ('id-1', 'id-2', 'id-3')"#).await;
    for (unread, kind, expected) in [
        (None, None, &["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"][..]),
        (Some(true), None, &["9", "7", "5", "3", "1"]),
        (Some(false), None, &["8", "6", "4", "2", "0"]),
        (None, Some("REFUND"), &["3", "2", "1"]),
        (Some(true), Some("REFUND"), &["3", "1"]),
        (Some(false), Some("REFUND"), &["2"]),
        (None, Some("refund"), &[]),
        (None, Some("' OR true --"), &[]),
    ] {
        let scope = Scope { unread, kind, ..of("ann") };
        let expected: Vec<String> = expected.iter().map(|n| format!("id-{n}")).collect();
        assert_eq!(listed(&*fixture.inbox, scope, 2).await, expected, "{scope:?}");
        assert_eq!(fixture.inbox.count(scope).await.unwrap(), expected.len() as u64, "{scope:?}");
    }
}

async fn places_of_nobodys_making_are_refused(fixture: &Fixture) {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    fixture.write([("id".to_owned(), "ann", AT, false)]).await;
    for created_at in ["", "yesterday", "1e9", "999999999999999999", "-9999999999999999999", "infinity"] {
        let text = BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_string(&(created_at, "id")).unwrap());
        let place = Place::decode(&text).unwrap();
        let refused = fixture.inbox.page(of("ann"), Some(&place), 10).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{created_at}: {refused:?}");
    }
}

async fn a_page_of_large_rows_ends_early(fixture: &Fixture) {
    let mut large = draft("evt");
    large.content = "x".repeat(300_000);
    let drafts: Vec<_> = (0..9).map(|n| store::Draft { event_id: format!("evt-{n}"), ..large.clone() }).collect();
    let rows: Vec<_> = (0..9)
        .map(|n| store::NewRow { id: format!("id-{n}"), draft: n, recipient_id: "ann".to_owned(), created_at: now() })
        .collect();
    fixture.store.insert(&drafts, &rows, now()).await.unwrap();
    let pages = pages(&*fixture.inbox, of("ann"), 100).await;
    assert_eq!(pages.iter().map(|page| page.rows.len()).collect::<Vec<_>>(), [4, 4, 1]);
    let expected: Vec<String> = (0..9).rev().map(|n| format!("id-{n}")).collect();
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected);
}

async fn only_what_was_unread_and_the_persons_own_is_marked(fixture: &Fixture) {
    let rows = [("a", "ann", false), ("b", "ann", true), ("c", "ann", false), ("d", "ann", false), ("e", "bob", false)];
    fixture.write(rows.map(|(id, recipient, read)| (id.to_owned(), recipient, AT, read))).await;
    fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = '2026-11-24T00:00:00.000Z' WHERE id = 'd'"#).await;

    let marked = mark(fixture, "ann", &["a", "a", "b", "d", "e", "unknown", "' OR true --"]).await.unwrap();
    assert_eq!((marked.updated, marked.ids.as_slice(), marked.unread), (1, &["a".to_owned()][..], 1));
    assert_eq!(marked.read_at, now());
    let row = fixture.inbox.find("ann", "a").await.unwrap().unwrap();
    assert_eq!((row.read_at, row.modified_at), (Some(marked.read_at), marked.read_at));
    assert_eq!(row.created_at, timestamp::parse(AT).unwrap());
    assert_eq!(fixture.inbox.find("ann", "b").await.unwrap().unwrap().read_at, timestamp::parse(AT));
    for (recipient, id) in [("ann", "d"), ("ann", "e"), ("bob", "a"), ("ann", "unknown")] {
        assert_eq!(fixture.inbox.find(recipient, id).await.unwrap(), None, "{recipient} {id}");
    }
    assert_eq!(unread(fixture, "bob").await, 1);

    assert_eq!(mark(fixture, "ann", &["a", "b", "d", "e"]).await, None, "nothing was unread");
    assert_eq!(mark(fixture, "ann", &[]).await, None);
    let last = mark(fixture, "ann", &["c"]).await.unwrap();
    assert_eq!((last.updated, last.unread), (1, 0));
    assert!(last.version > marked.version, "{last:?} {marked:?}");
}

async fn all_are_marked_or_those_before_a_moment(fixture: &Fixture) {
    let times = ["2026-11-23T08:00:00.000Z", "2026-11-23T08:00:00.001Z", "2026-11-23T08:00:00.002Z"];
    for (n, at) in times.into_iter().enumerate() {
        fixture.write([(format!("ann-{n}"), "ann", at, false), (format!("bob-{n}"), "bob", at, false)]).await;
    }
    let all = async |recipient: &str, before: Option<&str>| {
        let before = before.map(|at| timestamp::parse(at).unwrap());
        fixture.inbox.mark(recipient, Which::All { before }, now()).await.unwrap()
    };
    assert_eq!(all("ann", Some(times[0])).await, None, "what was created at the moment itself is not before it");
    let first = all("ann", Some(times[1])).await.unwrap();
    assert_eq!((first.updated, first.ids.len(), first.unread), (1, 0, 2));
    assert_eq!(fixture.inbox.find("ann", "ann-0").await.unwrap().unwrap().read_at, Some(first.read_at));
    let rest = all("ann", None).await.unwrap();
    assert_eq!((rest.updated, rest.unread), (2, 0));
    assert!(rest.version > first.version);
    assert_eq!(all("ann", None).await, None);
    assert_eq!(unread(fixture, "bob").await, 3);
}

async fn markings_count_one_after_the_other_and_versions_say_in_which_order(fixture: &Fixture) {
    const ROWS: usize = 120;
    fixture.write((0..ROWS).map(|n| (format!("id-{n}"), "ann", AT, false))).await;
    // Two workers on one database.
    let other = store::open(&Secret::new(&*fixture.url)).unwrap();
    let inboxes: [Arc<dyn Inbox>; 2] = [Arc::clone(&fixture.inbox), other];
    let markings = (0..ROWS / 3).map(|n| {
        let inbox = Arc::clone(&inboxes[n % 2]);
        async move {
            let ids: Vec<String> = (n * 3..n * 3 + 3).map(|n| format!("id-{n}")).collect();
            let clock = OffsetDateTime::now_utc();
            let clock = clock.replace_millisecond(clock.millisecond()).unwrap();
            inbox.mark("ann", Which::These(&ids), clock).await.unwrap().unwrap()
        }
    });
    // As many at once as wait for one another without being kept too long.
    let mut markings = stream::iter(markings).buffer_unordered(8);
    let mut by_version = BTreeMap::new();
    while let Some(marked) = markings.next().await {
        assert_eq!(marked.updated, 3);
        assert!(by_version.insert(marked.version, marked.unread).is_none(), "a version twice");
    }
    let unread: Vec<u64> = by_version.into_values().collect();
    let expected: Vec<u64> = (0..ROWS as u64 / 3).rev().map(|left| left * 3).collect();
    assert_eq!(unread, expected, "each counts what all before it have marked, and nothing of those behind it");
}

async fn a_clock_that_goes_back_turns_no_version_back(fixture: &Fixture) {
    fixture.write((0..4).map(|n| (format!("id-{n}"), "ann", AT, false))).await;
    let mut last = 0;
    for n in 0..4 {
        // Another process each time, whose clock is an hour behind the one before.
        let store = store::open(&Secret::new(&*fixture.url)).unwrap();
        let clock = now() - Duration::from_secs(3600 * n);
        let marked = store.mark("ann", Which::These(&[format!("id-{n}")]), clock).await.unwrap().unwrap();
        assert!(marked.version > last, "{marked:?} after {last}");
        last = marked.version;
        store.close().await;
    }
}

async fn names_that_no_row_can_have_have_nothing(fixture: &Fixture) {
    fixture.write([("id".to_owned(), "ann", AT, false)]).await;
    let nul = "an\0n";
    assert_eq!(fixture.inbox.page(of(nul), None, 10).await.unwrap(), Page::default());
    assert_eq!(fixture.inbox.count(of(nul)).await.unwrap(), 0);
    let typed = Scope { kind: Some("\0"), ..of("ann") };
    assert_eq!(fixture.inbox.page(typed, None, 10).await.unwrap(), Page::default());
    assert_eq!(fixture.inbox.find("ann", "i\0d").await.unwrap(), None);
    assert_eq!(fixture.inbox.find(nul, "id").await.unwrap(), None);
    assert_eq!(mark(fixture, nul, &["id"]).await, None);
    let marked = mark(fixture, "ann", &["i\0d", "id"]).await.unwrap();
    assert_eq!(marked.ids, ["id"], "the others of its list are marked all the same");
}
