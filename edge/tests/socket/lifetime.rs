//! How sessions end, and what they leave behind.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use signal_harness::{Algorithm, Issuer, eventually};
use signal_service::shutdown::Drain;
use signal_wire::envelope::Target;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::fixture::{SOON, TestEdge, counted};

/// A token that is valid by its leeway alone, and for a second or two more.
fn nearly_expired(edge: &TestEdge) -> String {
    let mut claims = Issuer::claims("an", Duration::ZERO);
    claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 3);
    edge.issuer.mint(Algorithm::Es256, &claims)
}

#[tokio::test]
async fn a_token_that_expires_ends_the_session_with_4005_unless_that_is_not_wanted() {
    let enforcing = TestEdge::start(&[]).await;
    let ignoring = TestEdge::start(&[("SIGNAL_TOKEN_EXPIRY", "ignore")]).await;
    let mut kept = ignoring.open().await;
    kept.authenticate(&nearly_expired(&ignoring)).await;
    let mut ended = enforcing.open().await;
    ended.authenticate(&nearly_expired(&enforcing)).await;
    let mut fresh = enforcing.client("an").await;

    assert_eq!(ended.closed().await, (4005, "Token expired".into()));
    fresh.socket.settle().await;
    ignoring.say(Target::User("an"), "still", json!(1)).await;
    assert_eq!(kept.hear().await["event"], "still");
}

#[tokio::test]
async fn who_is_silent_is_closed_with_4002_and_who_says_anything_is_not() {
    let variables = &[("SIGNAL_HEARTBEAT_INTERVAL", "50ms"), ("SIGNAL_HEARTBEAT_TIMEOUT", "1s")];
    let edge = TestEdge::start(variables).await;
    let mut silent = edge.client("an").await.socket;
    let mut alive = [edge.client("an").await.socket, edge.client("an").await.socket, edge.client("an").await.socket];
    let mut beat = tokio::time::interval(Duration::from_millis(200));
    let closed = loop {
        tokio::select! {
            closed = silent.closed() => break closed,
            _ = beat.tick() => {
                alive[0].say(r#"{"event":"heartbeat"}"#).await;
                alive[1].say("not even a message").await;
                alive[2].send(Message::Ping(vec![1].into())).await;
            }
        }
    };
    assert_eq!(closed, (4002, "Heartbeat timeout".into()));
    for socket in &mut alive {
        socket.say(r#"{"event":"authenticate"}"#).await;
        while socket.hear_error().await != "Already authenticated" {}
    }
}

#[tokio::test]
async fn who_does_not_read_is_closed_with_4008_and_others_are_not_disturbed() {
    let edge = TestEdge::start(&[]).await;
    let (mut slow, mut quick) = (edge.client("slow").await, edge.client("quick").await);
    let before = counted("signal_edge_closes_total", &[("code", "4008")]);
    let padding = "x".repeat(100_000);
    let mut said = 0;
    while counted("signal_edge_closes_total", &[("code", "4008")]) == before {
        edge.say(Target::Broadcast, "padding", json!({"n": said, "padding": padding})).await;
        assert_eq!(quick.socket.hear().await["data"]["n"], json!(said));
        said += 1;
        assert!(said < 1000, "a hundred megabytes waited for one client");
    }
    // What had left before is whole and in order; then comes the close.
    let mut heard = 0;
    let closed = loop {
        match slow.socket.hear_frame().await {
            Ok(frame) => {
                assert_eq!(slow.socket.read(&frame)["data"]["n"], json!(heard));
                heard += 1;
            }
            Err(closed) => break closed,
        }
    };
    assert_eq!(closed, (4008, "Too slow".into()));
    assert!(heard < said);
    eventually(SOON, || async { edge.edge.connections() == 1 }).await;
}

#[tokio::test]
async fn a_slow_reader_that_catches_up_misses_nothing() {
    let edge = TestEdge::start(&[("SIGNAL_OUTBOUND_LIMIT", "64MiB")]).await;
    let mut slow = edge.client("slow").await;
    let padding = "x".repeat(100_000);
    for n in 0..80 {
        edge.say(Target::User("slow"), "padding", json!({"n": n, "padding": padding})).await;
    }
    for n in 0..80 {
        assert_eq!(slow.socket.hear().await["data"]["n"], json!(n));
    }
}

#[tokio::test]
async fn pings_are_answered_and_closes_are_returned() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await.socket;
    client.send(Message::Ping(b"are you there".to_vec().into())).await;
    let pong = tokio::time::timeout(SOON, client.socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong(b"are you there".to_vec().into()));

    let close = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    client.socket.send(Message::Close(Some(close))).await.unwrap();
    assert_eq!(client.closed().await, (1000, "bye".into()));
    eventually(SOON, || async { edge.edge.connections() == 0 }).await;
}

#[tokio::test]
async fn a_client_that_vanishes_is_forgotten() {
    let edge = TestEdge::start(&[]).await;
    let client = edge.client("an").await;
    assert_eq!(edge.edge.connections(), 1);
    drop(client);
    eventually(SOON, || async { edge.edge.connections() == 0 }).await;
}

#[tokio::test]
async fn a_new_connection_of_the_same_user_survives_the_end_of_the_old() {
    let edge = TestEdge::start(&[]).await;
    for _ in 0..20 {
        let old = edge.client("an").await;
        let mut new = edge.client("an").await;
        drop(old);
        eventually(SOON, || async { edge.edge.connections() == 1 }).await;
        edge.say(Target::User("an"), "hello", json!(1)).await;
        assert_eq!(new.socket.hear().await["event"], "hello");
        drop(new);
        eventually(SOON, || async { edge.edge.connections() == 0 }).await;
    }
}

#[tokio::test]
async fn a_stop_says_goodbye_to_everybody_and_ends() {
    let edge = TestEdge::start(&[]).await;
    let (mut client, mut stranger) = (edge.client("an").await, edge.open().await);
    stranger.say("hello").await;
    assert_eq!(stranger.hear_error().await, "Invalid message format");
    edge.say(Target::User("an"), "last", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "last");

    edge.shutdown.trigger();
    assert_eq!(client.socket.closed().await, (1001, "Server shutting down".into()));
    assert_eq!(stranger.closed().await, (1001, "Server shutting down".into()));
    drop((client, stranger));
    assert_eq!(edge.shutdown.drain().await, Drain::Finished);
    assert_eq!(edge.edge.connections(), 0);
}
