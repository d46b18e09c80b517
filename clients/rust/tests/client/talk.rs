//! What is said while a connection holds.

use std::time::Duration;

use serde_json::json;
use signal_client::{Closed, Event, SendError, State};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as RawFrame;

use crate::fake_edge::{CLIENT_ID, FakeEdge, builder, connected, expect_connected, expect_message, next, soon};

#[tokio::test(start_paused = true)]
async fn the_handshake_makes_a_client_somebody() {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = builder(pipe).connect().unwrap();
    assert_eq!(client.state(), State::Connecting);
    let applicant = edge.accept().await.authenticate().await;
    assert_eq!(applicant.token, "token-1");
    let mut peer = applicant.admit().await;

    let hello = expect_connected(&mut events).await;
    assert_eq!((hello.client_id.as_str(), hello.user_id.as_str()), (CLIENT_ID, "42"));
    assert_eq!(hello.time, "2026-11-23T08:51:04.867Z");
    assert!(soon(client.ready()).await);

    for number in 0..500 {
        peer.push("numbered", json!(number)).await;
    }
    for number in 0..500 {
        assert_eq!(expect_message(&mut events).await, ("numbered".to_owned(), json!(number)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_application_says_arrives_sealed_and_in_order() {
    let (_edge, mut peer, client, _events) = connected(|builder| builder).await;
    client.send("first", &json!({ "a": 1 })).unwrap();
    client.send("second", &()).unwrap();
    assert_eq!(peer.hear().await, json!({ "event": "first", "data": { "a": 1 } }));
    assert_eq!(peer.hear().await, json!({ "event": "second", "data": null }));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_at_once() {
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = builder(pipe).connect().unwrap();
    assert!(matches!(client.send("early", &1), Err(SendError::NotConnected)));
    let mut peer = edge.admit().await;
    expect_connected(&mut events).await;
    assert!(matches!(client.send("large", &"x".repeat(100_000)), Err(SendError::TooLarge)));
    client.send("small", &"x".repeat(90_000)).unwrap();
    assert_eq!(peer.hear().await["event"], "small");

    // The client's task has not run yet: what waits is bounded.
    let taken = (0..1000).take_while(|number| client.send("many", number).is_ok()).count();
    assert!((1..1000).contains(&taken), "{taken}");
    assert!(matches!(client.send("many", &1), Err(SendError::Full)));
}

#[tokio::test(start_paused = true)]
async fn rooms_are_entered_and_left() {
    let (_edge, mut peer, client, _events) = connected(|builder| builder.rooms(["a", "b"])).await;
    assert_eq!(peer.hear().await, json!({ "event": "join", "data": { "rooms": ["a", "b"] } }));
    client.join(["c", "a"]).unwrap();
    assert_eq!(peer.hear().await, json!({ "event": "join", "data": { "rooms": ["c"] } }));
    client.leave(["a", "never joined"]);
    assert_eq!(peer.hear().await, json!({ "event": "leave", "data": { "rooms": ["a"] } }));
    assert!(client.join(["d", "ws:user:x"]).is_err());
    client.join(["e"]).unwrap();
    assert_eq!(peer.hear().await, json!({ "event": "join", "data": { "rooms": ["e"] } }));
}

#[tokio::test(start_paused = true)]
async fn the_edge_hears_a_heartbeat_every_thirty_seconds() {
    let (_edge, mut peer, _client, _events) = connected(|builder| builder).await;
    let start = Instant::now();
    for beat in 1..=3 {
        assert_eq!(peer.hear().await, json!({ "event": "heartbeat" }));
        assert_eq!(start.elapsed().as_secs(), 30 * beat);
        assert!(matches!(peer.hear_raw().await, Some(RawFrame::Ping(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_application_loses_nothing_and_stays_alive() {
    let (_edge, mut peer, _client, mut events) = connected(|builder| builder.queue(2)).await;
    for number in 0..50 {
        peer.push("numbered", json!(number)).await;
    }
    // Nobody listens for minutes; the edge hears heartbeats all the while, and its pongs are not read.
    for _ in 0..10 {
        assert_eq!(peer.hear().await["event"], "heartbeat");
    }
    for number in 0..50 {
        assert_eq!(expect_message(&mut events).await.1, json!(number));
    }
    peer.push("after", json!(null)).await;
    assert_eq!(expect_message(&mut events).await.0, "after");
}

#[tokio::test(start_paused = true)]
async fn a_notification_is_shown_once() {
    let (_edge, mut peer, _client, mut events) = connected(|builder| builder).await;
    let created = "observation/signal/notification/created";
    for id in ["n-1", "n-2", "n-1", "n-3"] {
        peer.push(created, json!({ "id": id })).await;
    }
    for id in ["n-1", "n-2", "n-3"] {
        assert_eq!(expect_message(&mut events).await, (created.to_owned(), json!({ "id": id })));
    }
}

#[tokio::test(start_paused = true)]
async fn closing_says_goodbye_and_is_final() {
    let (mut edge, mut peer, client, mut events) = connected(|builder| builder).await;
    client.close();
    match peer.hear_raw().await {
        Some(RawFrame::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1000),
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut events).await, Event::Closed(Closed::Requested)));
    assert!(soon(events.next()).await.is_none());
    assert!(!soon(client.ready()).await);
    assert!(matches!(client.send("late", &1), Err(SendError::NotConnected)));
    assert!(edge.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_any_more_is_disconnected() {
    let (_edge, mut peer, client, events) = connected(|builder| builder).await;
    drop(events);
    assert!(matches!(peer.hear_raw().await, Some(RawFrame::Close(_))));
    assert!(!soon(client.ready()).await);
}

#[tokio::test(start_paused = true)]
async fn a_client_can_be_closed_while_it_waits() {
    let (edge, pipe) = FakeEdge::new();
    drop(edge);
    let (client, mut events) = builder(pipe).connect().unwrap();
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    client.close();
    let before = Instant::now();
    assert!(matches!(next(&mut events).await, Event::Closed(Closed::Requested)));
    assert!(before.elapsed() < Duration::from_millis(1));
}
