//! The notification API: a router on a real store, with real tokens, and a bus that remembers what was said.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use signal_auth::{JwkSetClient, JwkSetOptions, Verifier, VerifierSettings};
use signal_harness::{Algorithm, Issuer, eventually, free_port};
use signal_service::{Secret, health::Health, rest, settings::AllowedOrigins};
use signal_wire::timestamp;
use signal_worker::{
    inbox::{self, Notifications},
    publish::{Drafted, Publisher, Push, PushedRow},
    store::{
        self, NewRow, StoreError, StoredRow,
        inbox::{Inbox, Marked, Page, Place, Scope, Which},
    },
};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    bus::{Said, TestBus},
    fixture::{Fixture, draft},
};

/// Far beyond what anything here takes; a deadline, never a measure.
const SOON: Duration = Duration::from_secs(30);
const AT: &str = "2026-11-23T08:00:00.000Z";
const READ: &str = "observation/signal/notification/read";
const UNREAD: &str = "observation/signal/notification/unread";

struct Desk {
    fixture: Fixture,
    issuer: Issuer,
    bus: Arc<TestBus>,
    tasks: TaskTracker,
    router: Router,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Desk {
    async fn open() -> Self {
        let fixture = Fixture::sqlite().await;
        let inbox = Arc::clone(&fixture.inbox);
        Self::on(fixture, inbox, Issuer::launch().await).await
    }

    async fn on(fixture: Fixture, inbox: Arc<dyn Inbox>, issuer: Issuer) -> Self {
        let keys = Arc::new(JwkSetClient::new(&issuer.jwks_url(), JwkSetOptions::default()).unwrap());
        let verifier = Arc::new(Verifier::new(VerifierSettings::default(), keys));
        let (bus, health) = (TestBus::new(), Health::new());
        let publisher = Arc::new(Publisher::new(Arc::clone(&bus) as _, health.component("backplane")));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (watching, stopped) = (Arc::clone(&publisher), stop.clone());
        tokio::spawn(async move { watching.watch(stopped).await });
        let notifications = Notifications::new(inbox, verifier, publisher, tasks.clone());
        let router = rest::finish_for(inbox::router("/base", notifications), &AllowedOrigins::Any);
        Self { fixture, issuer, bus, tasks, router, stop }
    }

    async fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
        send(self.router.clone(), method, path, token, body).await
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.send(method, path, Some(&self.issuer.token(who)), body.as_deref()).await
    }

    async fn get(&self, who: &str, path: &str) -> Value {
        let answer = self.ask(who, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    async fn patch(&self, who: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(who, "PATCH", path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    async fn unread(&self, who: &str) -> u64 {
        self.get(who, "/count?unread=true").await["count"].as_u64().unwrap()
    }

    /// What was said once every marking so far has been told.
    async fn told(&self) -> Vec<Said> {
        eventually(SOON, || async { self.tasks.is_empty() }).await;
        self.bus.said()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn send(router: Router, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/base/notifications{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Body::from(body.unwrap_or_default().to_owned())).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// Rows `id-00`, `id-01`, … of Ann's, each a second after the one before, and one of Bob's.
async fn filled(desk: &Desk, count: usize) {
    let times: Vec<String> = (0..count).map(|n| format!("2026-11-23T08:{:02}:{:02}.000Z", n / 60, n % 60)).collect();
    let rows = times.iter().enumerate().map(|(n, at)| (format!("id-{n:02}"), "ann", at.as_str(), false));
    desk.fixture.write(rows.chain([("bobs".to_owned(), "bob", AT, false)])).await;
}

#[tokio::test]
async fn a_row_is_shown_as_it_was_pushed() {
    let desk = Desk::open().await;
    let at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
    let drafts = [draft("evt-1")];
    let row = NewRow { id: "IVUXjyIIOO".to_owned(), draft: 0, recipient_id: "ann".to_owned(), created_at: at };
    desk.fixture.store.insert(&drafts, std::slice::from_ref(&row), at).await.unwrap();
    let publisher = Publisher::new(Arc::clone(&desk.bus) as _, Health::new().component("backplane"));
    let row = PushedRow::New { id: row.id, recipient_id: row.recipient_id, created_at: at, modified_at: at };
    publisher.publish(Drafted { drafts: &drafts, traces: &[] }, vec![Push { draft: 0, row }]).await;

    let answer = desk.ask("ann", "GET", "", None).await;
    assert_eq!(answer.body, json!({ "data": [desk.bus.said()[0].data], "nextCursor": null }));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.body["data"][0]["html"].as_str().unwrap().starts_with("<p>"));
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end() {
    let desk = Desk::open().await;
    filled(&desk, 45).await;
    let expected: Vec<String> = (0..45).rev().map(|n| format!("id-{n:02}")).collect();
    let (mut seen, mut query) = (Vec::new(), String::new());
    for size in [20, 20, 5] {
        let page = desk.get("ann", &query).await;
        assert_eq!(ids(&page).len(), size, "twenty unless told");
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        query = format!("?cursor={}", page["nextCursor"].as_str().unwrap_or("end"));
    }
    assert_eq!((seen, query.as_str()), (expected.clone(), "?cursor=end"));
    assert_eq!(ids(&desk.get("ann", "?limit=100").await), expected);
    assert_eq!(ids(&desk.get("ann", "?limit=1&unread=true&type=PAYMENT_SUCCESS").await), ["id-44"]);
    assert_eq!(desk.get("nobody", "").await, json!({ "data": [], "nextCursor": null }));
}

#[tokio::test]
async fn lists_and_counts_have_the_same_filters() {
    let desk = Desk::open().await;
    filled(&desk, 6).await;
    desk.patch("ann", "/read", Some(json!({ "ids": ["id-00", "id-01"] }))).await;
    for (query, count) in [
        ("", 6),
        ("?unread=true", 4),
        ("?unread=false", 2),
        ("?type=PAYMENT_SUCCESS", 6),
        ("?type=REFUND", 0),
        ("?type=%00", 0),
        ("?unread=true&type=PAYMENT_SUCCESS&later=1", 4),
    ] {
        assert_eq!(desk.get("ann", &format!("/count{query}")).await, json!({ "count": count }), "{query}");
        assert_eq!(ids(&desk.get("ann", query).await).len(), count, "{query}");
    }
}

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

#[tokio::test]
async fn a_number_and_its_text_are_one_user() {
    let desk = Desk::open().await;
    desk.fixture.write([("id".to_owned(), "7", AT, false)]).await;
    for user in [json!(7), json!("7")] {
        let mut claims = Issuer::claims("", SOON);
        claims["userId"] = user;
        let token = desk.issuer.mint(Algorithm::Es256, &claims);
        assert_eq!(ids(&desk.send("GET", "", Some(&token), None).await.body), ["id"]);
    }
}

/// Each route, with something that it would refuse.
const ROUTES: [(&str, &str, Option<&str>); 5] = [
    ("GET", "?limit=0", None),
    ("GET", "/count?unread=x", None),
    ("PATCH", "/unknown/read", None),
    ("PATCH", "/read", Some("{}")),
    ("PATCH", "/read-all", Some("[]")),
];

#[tokio::test]
async fn nobody_is_told_anything_without_a_token() {
    let desk = Desk::open().await;
    let mut expired = Issuer::claims("ann", SOON);
    expired["exp"] = json!(1_700_000_000);
    let expired = desk.issuer.mint(Algorithm::Es256, &expired);
    let others = Issuer::launch().await.token("ann");
    for (method, path, body) in ROUTES {
        for token in [None, Some("no token"), Some(expired.as_str()), Some(others.as_str())] {
            let answer = desk.send(method, path, token, body).await;
            assert_eq!(answer.status, 401, "{method} {path} {answer:?}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let desk = Desk::open().await;
    filled(&desk, 3).await;
    let many = json!({ "ids": vec!["x"; 501] }).to_string();
    // What looks like a cursor, of times that are none.
    let cursor = "?cursor=WyJ5ZXN0ZXJkYXkiLCJpZCJd";
    for (method, path, body, cause) in [
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?limit=101", None, "limit"),
        ("GET", "?limit=-1", None, "limit"),
        ("GET", "?limit=many", None, "limit"),
        ("GET", "?cursor=", None, "cursor"),
        ("GET", "?cursor=x", None, "cursor"),
        ("GET", cursor, None, "cursor"),
        ("GET", "?unread=yes", None, "unread"),
        ("GET", "?type=", None, "type"),
        ("GET", "/count?unread=1", None, "unread"),
        ("GET", "/count?type=", None, "type"),
        ("PATCH", "/read", Some("{}"), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":[]}"#), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":"id-00"}"#), "ids"),
        ("PATCH", "/read", Some(r#"{"ids":["a",7]}"#), "ids.1"),
        ("PATCH", "/read", Some(r#"{"ids":["a"],"all":true}"#), "all"),
        ("PATCH", "/read", Some(many.as_str()), "ids"),
        ("PATCH", "/read-all", Some("[]"), ""),
        ("PATCH", "/read-all", Some(r#"{"before":"yesterday"}"#), "before"),
        ("PATCH", "/read-all", Some(r#"{"before":7}"#), "before"),
        ("PATCH", "/read-all", Some(r#"{"befor":null}"#), "befor"),
    ] {
        let answer = desk.send(method, path, Some(&desk.issuer.token("ann")), body).await;
        assert_eq!((answer.status, &answer.body["message"]), (422, &json!("ValidationError")), "{path}: {answer:?}");
        assert_eq!(answer.body["details"]["cause"][0]["path"], cause, "{path} {body:?}: {answer:?}");
    }
    assert_eq!(desk.ask("ann", "PATCH", "/read", None).await.status, 415);
    assert_eq!(desk.unread("ann").await, 3);
    assert_eq!(desk.told().await, []);
}

/// How long a caller may be kept waiting for the word that something is away: far less than what a pipeline waits.
const PATIENCE: Duration = Duration::from_secs(15);

async fn all_routes_are_unavailable(desk: &Desk) {
    let valid = [
        ("GET", "", None),
        ("GET", "/count", None),
        ("PATCH", "/id-00/read", None),
        ("PATCH", "/read", Some(json!({ "ids": ["id-00"] }))),
        ("PATCH", "/read-all", None),
    ];
    for (method, path, body) in valid {
        let asked = Instant::now();
        let answer = desk.ask("ann", method, path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {answer:?}");
        assert_eq!(answer.headers["retry-after"], "2", "{method} {path}");
        assert!(asked.elapsed() < PATIENCE, "{method} {path} took {:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn without_the_issuer_nobody_is_let_in_and_everybody_may_come_back() {
    let fixture = Fixture::sqlite().await;
    let inbox = Arc::clone(&fixture.inbox);
    let desk = Desk::on(fixture, inbox, Issuer::reserved()).await;
    filled(&desk, 1).await;
    all_routes_are_unavailable(&desk).await;
    desk.issuer.start().await;
    eventually(SOON, || async { desk.ask("ann", "GET", "", None).await.status == 200 }).await;
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_not_waited_for() {
    // It listens, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let keys = JwkSetClient::new(
        &format!("http://{}/jwks", silent.local_addr().unwrap()),
        JwkSetOptions { timeout: 2 * PATIENCE, ..JwkSetOptions::default() },
    );
    let fixture = Fixture::sqlite().await;
    let verifier = Arc::new(Verifier::new(VerifierSettings::default(), Arc::new(keys.unwrap())));
    let publisher = Arc::new(Publisher::new(TestBus::new(), Health::new().component("backplane")));
    let notifications = Notifications::new(Arc::clone(&fixture.inbox), verifier, publisher, TaskTracker::new());
    let router = rest::finish(inbox::router("/base", notifications));
    let asked = Instant::now();
    let answer = send(router, "GET", "", Some(&Issuer::reserved().token("ann")), None).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (503, "2"));
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn without_the_database_callers_hear_so_within_seconds() {
    let nobody = format!("postgres://nobody@127.0.0.1:{}/none", free_port());
    // It takes connections, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("postgres://nobody@{}/none", silent.local_addr().unwrap());
    for url in [nobody, mute, "sqlite:///nowhere/at/all.db".to_owned()] {
        let away = store::open(&Secret::new(url)).unwrap();
        let desk = Desk::on(Fixture::empty_sqlite(), away, Issuer::launch().await).await;
        all_routes_are_unavailable(&desk).await;
        assert_eq!(desk.told().await, []);
    }
}

#[tokio::test]
async fn a_backplane_that_is_away_delays_no_answer_and_is_made_good() {
    let desk = Desk::open().await;
    filled(&desk, 2).await;
    desk.bus.set_away(true);
    assert_eq!(desk.patch("ann", "/id-00/read", None).await["id"], "id-00");
    assert_eq!(desk.patch("ann", "/read-all", None).await, json!({ "updated": 1 }));
    assert!(!desk.tasks.is_empty(), "the answer is there, and it has not been told yet");
    assert_eq!(desk.told().await, [], "nobody could be told");
    desk.bus.set_away(false);
    let resync = eventually(SOON, || async { desk.bus.said().into_iter().next() }).await;
    assert_eq!((resync.channel.as_str(), resync.event.as_str()), ("ws:room:signal/notification/ann", "resync"));
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

#[tokio::test]
async fn every_documented_route_is_served_and_no_other() {
    let desk = Desk::open().await;
    let document = serde_json::to_value(inbox::openapi()).unwrap();
    let mut routes = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch"] {
            let path = path.strip_prefix("/notifications").unwrap().replace("{id}", "unknown");
            let answer = desk.send(&method.to_ascii_uppercase(), &path, None, None).await;
            let operation = &item[method];
            if operation.is_null() {
                assert_eq!(answer.status, 405, "{method} {path} is served and not documented");
                continue;
            }
            routes += 1;
            assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{method} {path}");
            assert_eq!(answer.status, 401, "{method} {path}");
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["503"].is_object());
        }
    }
    assert_eq!(routes, ROUTES.len());
}
