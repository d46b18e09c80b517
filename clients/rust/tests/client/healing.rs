//! Failures that no close code announces.

use std::{io, time::Duration};

use futures_util::SinkExt;
use serde_json::json;
use signal_client::{ConfigError, Disconnect, session::OpenError};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as RawFrame;

use crate::fake_edge::{
    FakeEdge, builder, connected, expect_connected, expect_disconnected, expect_message, expect_resync,
};

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_replaced() {
    let (mut edge, peer, _client, mut events) = connected(|builder| builder).await;
    drop(peer);
    assert!(matches!(expect_disconnected(&mut events).await.0, Disconnect::Broken(_)));
    let mut peer = edge.admit().await;
    expect_connected(&mut events).await;
    assert_eq!(expect_resync(&mut events).await, "reconnected");
    peer.push("again", json!(1)).await;
    assert_eq!(expect_message(&mut events).await.0, "again");
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_does_not_answer_a_ping_is_given_up() {
    let (mut edge, peer, _client, mut events) = connected(|builder| builder).await;
    let start = Instant::now();
    // The socket stays open and is never read, as after a cable was pulled.
    let (cause, _) = expect_disconnected(&mut events).await;
    assert!(matches!(cause, Disconnect::Silent(_)), "{cause:?}");
    assert_eq!(start.elapsed().as_secs(), 40);
    let _next = edge.admit().await;
    expect_connected(&mut events).await;
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_is_away_is_tried_with_growing_delays() {
    let (edge, pipe) = FakeEdge::new();
    drop(edge);
    let (_client, mut events) = builder(pipe).connect().unwrap();
    for ceiling in [1, 2, 4, 8, 8, 8] {
        let (cause, retry_in) = expect_disconnected(&mut events).await;
        assert!(matches!(cause, Disconnect::Open(OpenError::Dial(_))), "{cause:?}");
        assert!(retry_in <= Duration::from_secs(ceiling), "{retry_in:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_says_nothing_is_given_up_in_time() {
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    let start = Instant::now();
    let silent = edge.stream().await;
    assert!(matches!(expect_disconnected(&mut events).await.0, Disconnect::Open(OpenError::Timeout(_))));
    assert_eq!(start.elapsed().as_secs(), 10);
    drop(silent);

    let silent = edge.accept().await;
    let start = Instant::now();
    assert!(matches!(expect_disconnected(&mut events).await.0, Disconnect::Open(OpenError::Timeout(_))));
    assert_eq!(start.elapsed().as_secs(), 20);
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_of_the_protocol_are_failures() {
    let key = signal_wire::connected::encode(&[4; 65]);
    let salt = signal_wire::connected::encode(&[0; 32]);
    let offer = |id: &str, user: &str, key: &str, salt: &str| {
        format!(
            r#"{{"event":"connected","data":{{"id":{id},"userId":{user},"time":"t","serverPublicKey":"{key}","salt":"{salt}"}}}}"#
        )
    };
    let answers = [
        "nonsense".to_owned(),
        "null".to_owned(),
        r#"{"event":"connected"}"#.to_owned(),
        r#"{"event":"push","data":1}"#.to_owned(),
        offer("7", "\"u\"", &key, &salt),
        offer("\"c\"", "null", &key, &salt),
        // No point of the curve, too short, and a salt that is too short.
        offer("\"c\"", "\"u\"", &key, &salt),
        offer("\"c\"", "\"u\"", "BAAA", &salt),
        offer("\"c\"", "\"u\"", &key, "AAAA"),
    ];
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    for answer in answers {
        let mut applicant = edge.accept().await.authenticate().await;
        applicant.socket.send(RawFrame::text(answer.as_str())).await.unwrap();
        let (cause, _) = expect_disconnected(&mut events).await;
        assert!(matches!(cause, Disconnect::Open(OpenError::Malformed)), "{answer}: {cause:?}");
    }
    let _peer = edge.admit().await;
    expect_connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_is_asked_again() {
    let (mut edge, pipe) = FakeEdge::new();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let provider = move || {
        let works = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0;
        async move { if works { Ok("token".to_owned()) } else { Err(io::Error::other("the issuer is away")) } }
    };
    let (_client, mut events) = builder(pipe).token(provider).connect().unwrap();
    let (cause, _) = expect_disconnected(&mut events).await;
    assert_eq!(cause.to_string(), "no token: the issuer is away");
    let _peer = edge.admit().await;
    expect_connected(&mut events).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_printed_has_the_token() {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = builder(pipe).connect().unwrap();
    let applicant = edge.accept().await.authenticate().await;
    assert_eq!(applicant.token, "token-1");
    applicant.refuse("Authentication error", 4003, "").await;
    let (cause, _) = expect_disconnected(&mut events).await;
    let printed = format!("{client:?} {events:?} {cause:?} {cause}");
    assert!(!printed.contains("token-1"), "{printed}");
}

#[test]
fn a_client_that_cannot_work_is_not_started() {
    let token = || async { Ok::<_, io::Error>(String::new()) };
    let refusal = |builder: signal_client::Builder| builder.connect().unwrap_err();
    assert_eq!(refusal(signal_client::Client::builder("ws://h/stream")), ConfigError::NoToken);
    assert_eq!(refusal(signal_client::Client::builder("ws://h/stream").token(token)), ConfigError::NoRuntime);
    assert_eq!(refusal(signal_client::Client::builder("http://h/stream").token(token)), ConfigError::Url);
    let reserved = signal_client::Client::builder("ws://h/stream").token(token).rooms(["ws:x"]);
    assert!(matches!(refusal(reserved), ConfigError::Room(_)));
}
