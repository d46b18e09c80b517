//! The notification API: a router on a real store, with real tokens, and a bus that remembers what was said.

mod marking;
mod outages;
mod refusals;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use signal_auth::{JwkSetClient, JwkSetOptions, Verifier, VerifierSettings};
use signal_harness::{Algorithm, Issuer, eventually};
use signal_service::{health::Health, rest, settings::AllowedOrigins};
use signal_wire::timestamp;
use signal_worker::{
    inbox::{self, Notifications},
    publish::{Drafted, Publisher, Push, PushedRow},
    store::{NewRow, inbox::Inbox},
};
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
