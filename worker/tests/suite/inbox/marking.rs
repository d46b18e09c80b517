//! What is marked as read, and who hears of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use signal_harness::{Issuer, eventually};
use signal_wire::timestamp;
use signal_worker::store::{
    StoreError, StoredRow,
    inbox::{Inbox, Marked, Page, Place, Scope, Which},
};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::{Desk, READ, SOON, UNREAD, filled, ids, send};
use crate::fixture::Fixture;

#[tokio::test]
async fn reading_one_returns_it_and_tells_the_persons_windows_once() {
    let desk = Desk::open().await;
    filled(&desk, 3).await;
    let before = OffsetDateTime::now_utc() - Duration::from_secs(1);
    let read = desk.patch("ann", "/id-01/read", None).await;
    assert_eq!((&read["id"], &read["createdAt"]), (&json!("id-01"), &json!("2026-11-23T08:00:01.000Z")));
    assert_eq!(read["readAt"], read["modifiedAt"]);
    assert!(timestamp::parse(read["readAt"].as_str().unwrap()).unwrap() > before);
    assert_eq!(read, desk.get("ann", "?unread=false").await["data"][0], "as it is from now on");

    let told = desk.told().await;
    let room = "ws:room:signal/notification/ann";
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].channel.as_str(), told[0].event.as_str()), (room, READ));
    assert_eq!(told[0].data, json!({ "ids": ["id-01"], "readAt": read["readAt"] }));
    assert_eq!((told[1].channel.as_str(), told[1].event.as_str()), (room, UNREAD));
    assert_eq!(told[1].data["unread"], 2);
    assert!(told[1].data["version"].is_u64() && told[1].data.as_object().unwrap().len() == 2);

    assert_eq!(desk.patch("ann", "/id-01/read", None).await, read, "read already: it stays as it is");
    assert_eq!(desk.told().await.len(), 2, "and nobody is told again");
}

#[tokio::test]
async fn what_is_not_ones_own_is_not_there() {
    let desk = Desk::open().await;
    filled(&desk, 2).await;
    desk.fixture.run(r#"UPDATE "ActivityNotification" SET deleted_at = created_at WHERE id = 'id-00'"#).await;
    for id in ["bobs", "id-00", "unknown", "%00", "a%2Fb", "%F0%9F%98%80"] {
        let answer = desk.ask("ann", "PATCH", &format!("/{id}/read"), None).await;
        assert_eq!((answer.status, &answer.body["message"]), (404, &json!("Not Found")), "{id}");
    }
    let these = json!({ "ids": ["bobs", "id-00", "unknown", "\0"] });
    assert_eq!(desk.patch("ann", "/read", Some(these)).await, json!({ "updated": 0 }));
    assert_eq!(ids(&desk.get("ann", "").await), ["id-01"]);
    assert_eq!(desk.patch("ann", "/read-all", None).await, json!({ "updated": 1 }));
    assert_eq!((desk.unread("ann").await, desk.unread("bob").await), (0, 1));
    assert!(desk.told().await.iter().all(|said| said.channel.ends_with("/ann")));
}

#[tokio::test]
async fn some_are_read_and_only_those_that_were_unread_are_told_of() {
    let desk = Desk::open().await;
    filled(&desk, 500).await;
    let some = json!({ "ids": ["id-03", "id-05", "id-03", "unknown", "bobs"] });
    assert_eq!(desk.patch("ann", "/read", Some(some.clone())).await, json!({ "updated": 2 }));
    assert_eq!(desk.patch("ann", "/read", Some(some)).await, json!({ "updated": 0 }));
    let told = desk.told().await;
    let mut ids: Vec<String> = serde_json::from_value(told[0].data["ids"].clone()).unwrap();
    ids.sort();
    assert_eq!(
        (ids, told[1].data["unread"].as_u64(), told.len()),
        (vec!["id-03".into(), "id-05".into()], Some(498), 2)
    );

    let most: Vec<String> = (0..500).map(|n| format!("id-{n:02}")).collect();
    assert_eq!(desk.patch("ann", "/read", Some(json!({ "ids": most }))).await, json!({ "updated": 498 }));
    let told = desk.told().await;
    assert_eq!(told[2].data["ids"].as_array().unwrap().len(), 498);
    assert_eq!(told[3].data["unread"], 0);
    assert!(told[3].data["version"].as_u64() > told[1].data["version"].as_u64());
}

#[tokio::test]
async fn all_are_read_or_those_before_a_moment() {
    let desk = Desk::open().await;
    filled(&desk, 6).await;
    let all = async |body: Option<&str>| {
        let answer = desk.send("PATCH", "/read-all", Some(&desk.issuer.token("ann")), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["updated"].as_u64().unwrap()
    };
    let before = |at: &str| format!(r#"{{"before":"{at}"}}"#);
    assert_eq!(all(Some(&before("2026-11-23T08:00:00Z"))).await, 0, "not what was created at the moment itself");
    // In another offset, and finer than what is shown.
    assert_eq!(all(Some(&before("2026-11-23T15:00:02.0004+07:00"))).await, 2);
    let told = desk.told().await;
    assert_eq!(told.len(), 2);
    let read_at = &told[0].data["readAt"];
    assert_eq!(told[0].data, json!({ "all": true, "before": "2026-11-23T08:00:02.000Z", "readAt": read_at }));
    assert_eq!(told[1].data["unread"], 4);
    for (body, rest) in [(Some("{}"), 4), (None, 0), (Some(r#"{"before":null}"#), 0), (Some("null"), 0)] {
        assert_eq!(all(body).await, rest, "{body:?}");
    }
    let told = desk.told().await;
    assert_eq!(told[2].data, json!({ "all": true, "readAt": told[2].data["readAt"] }));
    assert_eq!((told[3].data["unread"].as_u64(), told.len()), (Some(0), 4));
}

/// An inbox whose markings wait to be let through.
#[derive(Debug)]
struct Gated {
    inbox: Arc<dyn Inbox>,
    asked: Semaphore,
    gate: Semaphore,
}

#[async_trait]
impl Inbox for Gated {
    async fn page(&self, scope: Scope<'_>, after: Option<&Place>, limit: usize) -> Result<Page, StoreError> {
        self.inbox.page(scope, after, limit).await
    }

    async fn count(&self, scope: Scope<'_>) -> Result<u64, StoreError> {
        self.inbox.count(scope).await
    }

    async fn find(&self, recipient_id: &str, id: &str) -> Result<Option<StoredRow>, StoreError> {
        self.inbox.find(recipient_id, id).await
    }

    async fn mark(
        &self,
        recipient_id: &str,
        which: Which<'_>,
        now: OffsetDateTime,
    ) -> Result<Option<Marked>, StoreError> {
        self.asked.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.inbox.mark(recipient_id, which, now).await
    }
}

async fn gated(rows: usize) -> (Desk, Arc<Gated>) {
    let fixture = Fixture::sqlite().await;
    let (asked, gate) = (Semaphore::new(0), Semaphore::new(0));
    let gated = Arc::new(Gated { inbox: Arc::clone(&fixture.inbox), asked, gate });
    let desk = Desk::on(fixture, Arc::clone(&gated) as _, Issuer::launch().await).await;
    filled(&desk, rows).await;
    (desk, gated)
}

#[tokio::test]
async fn whoever_hangs_up_has_marked_all_the_same() {
    let (desk, gated) = gated(2).await;
    let (router, token) = (desk.router.clone(), desk.issuer.token("ann"));
    let asking = tokio::spawn(async move { send(router, "PATCH", "/id-00/read", Some(&token), None).await });
    gated.asked.acquire().await.unwrap().forget();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    gated.gate.add_permits(1);
    let told = eventually(SOON, || async { Some(desk.bus.said()).filter(|said| said.len() == 2) }).await;
    assert_eq!((&told[0].data["ids"], &told[1].data["unread"]), (&json!(["id-00"]), &json!(1)));
    assert_eq!(desk.unread("ann").await, 1);
}

#[tokio::test]
async fn who_reads_what_somebody_was_quicker_with_gets_it_as_it_is() {
    let (desk, gated) = gated(2).await;
    let (router, token) = (desk.router.clone(), desk.issuer.token("ann"));
    for (id, change, status) in [("id-00", "read_at = created_at", 200), ("id-01", "deleted_at = created_at", 404)] {
        let (router, token) = (router.clone(), token.clone());
        let path = format!("/{id}/read");
        let asking = tokio::spawn(async move { send(router, "PATCH", &path, Some(&token), None).await });
        gated.asked.acquire().await.unwrap().forget();
        desk.fixture.run(format!(r#"UPDATE "ActivityNotification" SET {change} WHERE id = '{id}'"#)).await;
        gated.gate.add_permits(1);
        let answer = asking.await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(status == 404 || answer.body["readAt"] == answer.body["createdAt"], "{answer:?}");
    }
    assert_eq!(desk.told().await, []);
}

#[tokio::test]
async fn more_markings_than_are_taken_at_once_are_refused() {
    let (desk, gated) = gated(1).await;
    let one = |desk: &Desk| {
        let (router, token) = (desk.router.clone(), desk.issuer.token("ann"));
        tokio::spawn(async move { send(router, "PATCH", "/read-all", Some(&token), None).await })
    };
    let under_way: Vec<_> = (0..1024).map(|_| one(&desk)).collect();
    gated.asked.acquire_many(1024).await.unwrap().forget();
    let refused = one(&desk).await.unwrap();
    assert_eq!((refused.status, refused.headers["retry-after"].to_str().unwrap()), (503, "2"), "{refused:?}");
    gated.gate.add_permits(1024);
    for marking in under_way {
        assert_eq!(marking.await.unwrap().status, 200);
    }
    desk.told().await;
    gated.gate.add_permits(1);
    assert_eq!(one(&desk).await.unwrap().status, 200, "their places are given back");
}
