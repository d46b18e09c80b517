//! What a client does after each kind of close.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use signal_client::{CloseCode, Closed, Disconnect, Event, session::OpenError};
use tokio::time::Instant;

use crate::fake_edge::{
    FakeEdge, builder, connected, expect_connected, expect_disconnected, expect_message, expect_resync, next, soon,
};

#[tokio::test(start_paused = true)]
async fn codes_that_would_come_again_are_final() {
    for code in [1009, 4004, 4006, 4007] {
        let (mut edge, peer, client, mut events) = connected(|builder| builder).await;
        peer.close(code).await;
        match next(&mut events).await {
            Event::Closed(Closed::Final(Disconnect::Closed(close))) => {
                assert_eq!(close.code, code);
                assert_eq!(close.known(), CloseCode::from_code(code));
            }
            other => panic!("{code}: {other:?}"),
        }
        assert!(soon(events.next()).await.is_none());
        assert!(!soon(client.ready()).await);
        assert!(edge.is_left_alone(), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_codes_heal_and_resync() {
    for code in [1000, 1001, 1011, 4001, 4002, 4008, 4009, 4999] {
        let (mut edge, peer, client, mut events) = connected(|builder| builder.rooms(["a"])).await;
        peer.close(code).await;
        let (cause, retry_in) = expect_disconnected(&mut events).await;
        assert!(matches!(&cause, Disconnect::Closed(close) if close.code == code), "{cause:?}");
        assert!(retry_in <= Duration::from_secs(1), "{retry_in:?}");

        client.join(["b"]).unwrap();
        let mut peer = edge.admit().await;
        expect_connected(&mut events).await;
        assert_eq!(expect_resync(&mut events).await, "reconnected");
        assert_eq!(peer.hear().await, json!({ "event": "join", "data": { "rooms": ["a", "b"] } }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_not_offered_again() {
    let (mut edge, pipe) = FakeEdge::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let provider = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, io::Error>("refused".to_owned()) }
    };
    let (_client, mut events) = builder(pipe).token(provider).connect().unwrap();
    let applicant = edge.accept().await.authenticate().await;
    applicant.refuse("Authentication failed", 4003, "Authentication failed").await;

    let (cause, _) = expect_disconnected(&mut events).await;
    match &cause {
        Disconnect::Open(OpenError::Refused { close, said }) => {
            assert_eq!((close.code, said.as_deref()), (4003, Some("Authentication failed")));
        }
        other => panic!("{other:?}"),
    }
    // The provider is asked once more, and has nothing better.
    assert!(matches!(next(&mut events).await, Event::Closed(Closed::Final(Disconnect::RefusedToken))));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(edge.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn another_token_is_offered_after_a_refusal_and_after_an_expiry() {
    for code in [4003, 4005] {
        let (mut edge, pipe) = FakeEdge::new();
        let asked = AtomicUsize::new(0);
        let provider = move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, io::Error>(format!("token-{number}")) }
        };
        let (_client, mut events) = builder(pipe).token(provider).connect().unwrap();
        edge.accept().await.authenticate().await.refuse("", code, "").await;
        expect_disconnected(&mut events).await;
        let applicant = edge.accept().await.authenticate().await;
        assert_eq!(applicant.token, "token-1", "{code}");
        let _peer = applicant.admit().await;
        expect_connected(&mut events).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_asked_until_it_has_a_token_that_lives() {
    let (mut edge, pipe) = FakeEdge::new();
    let asked = AtomicUsize::new(0);
    let provider = move || {
        let fresh = asked.fetch_add(1, Ordering::SeqCst) >= 4;
        async move { Ok::<_, io::Error>(if fresh { "fresh" } else { "expired" }.to_owned()) }
    };
    let (_client, mut events) = builder(pipe).token(provider).connect().unwrap();
    let peer = edge.admit().await;
    expect_connected(&mut events).await;
    peer.close(4005).await;
    expect_disconnected(&mut events).await;
    for _ in 0..3 {
        assert!(matches!(expect_disconnected(&mut events).await.0, Disconnect::RefusedToken));
    }
    let applicant = edge.accept().await.authenticate().await;
    assert_eq!(applicant.token, "fresh");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_could_not_be_checked_is_offered_again() {
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    let applicant = edge.accept().await.authenticate().await;
    applicant.refuse("Authentication error", 4003, "Authentication failed").await;
    expect_disconnected(&mut events).await;
    let _peer = edge.admit().await;
    expect_connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_goes_is_given_the_time_it_asked_for() {
    let (mut edge, mut peer, _client, mut events) = connected(|builder| builder).await;
    let announced = Instant::now();
    peer.push("reconnect", json!({ "afterMs": 20_000 })).await;
    peer.push("last", json!(null)).await;
    assert_eq!(expect_message(&mut events).await.0, "last");
    tokio::time::advance(Duration::from_secs(5)).await;
    peer.close(1001).await;
    let (_, retry_in) = expect_disconnected(&mut events).await;
    assert_eq!(retry_in.as_secs_f64().round(), 15.0);
    let _peer = edge.admit().await;
    assert_eq!(announced.elapsed().as_secs(), 20);
    expect_connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_leaves_a_draining_edge_by_itself() {
    let (mut edge, mut peer, _client, mut events) = connected(|builder| builder).await;
    let announced = Instant::now();
    peer.push("reconnect", json!({ "afterMs": 3_000 })).await;
    let (cause, retry_in) = expect_disconnected(&mut events).await;
    assert!(matches!(cause, Disconnect::Draining) && retry_in.is_zero(), "{cause:?} {retry_in:?}");
    assert_eq!(announced.elapsed().as_secs(), 3);
    let _peer = edge.admit().await;
    expect_connected(&mut events).await;
    assert_eq!(expect_resync(&mut events).await, "reconnected");
}
