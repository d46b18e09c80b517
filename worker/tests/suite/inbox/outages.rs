//! While something that is needed is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use signal_auth::{JwkSetClient, JwkSetOptions, Verifier, VerifierSettings};
use signal_harness::{Issuer, eventually, free_port};
use signal_service::{Secret, health::Health, rest};
use signal_worker::{
    inbox::{self, Notifications},
    publish::Publisher,
    store,
};
use tokio_util::task::TaskTracker;

use super::{Desk, SOON, filled, send};
use crate::{bus::TestBus, fixture::Fixture};

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
