//! Tokens that are replaced while a connection holds.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use signal_client::{Client, Disconnect, Event, Events, Problem, RefreshError, Refreshed};
use tokio::time::Instant;

use crate::fake_edge::{
    FakeEdge, Peer, builder, connected, expect_connected, expect_disconnected, expect_message, next, soon,
};

/// What the scripted edge's clock says when it lets a client in.
const NOW: i64 = 1_795_423_864;

/// A token of this name that expires so many seconds after [`NOW`].
fn token(name: &str, expires_in: i64) -> String {
    let claims = URL_SAFE_NO_PAD.encode(json!({ "jti": name, "exp": NOW + expires_in }).to_string());
    format!("e30.{claims}.c2ln")
}

/// What a provider gives, call by call; the last one for ever.
#[derive(Clone)]
struct Tokens {
    given: Arc<Mutex<Vec<Result<String, &'static str>>>>,
    asked: Arc<AtomicUsize>,
}

impl Tokens {
    fn new(given: impl IntoIterator<Item = Result<String, &'static str>>) -> Self {
        Self { given: Arc::new(Mutex::new(given.into_iter().collect())), asked: Arc::default() }
    }

    fn give(&self) -> io::Result<String> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let given = self.given.lock().unwrap();
        given[number.min(given.len() - 1)].clone().map_err(io::Error::other)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn client_with(tokens: &Tokens) -> (FakeEdge, Peer, Client, Events) {
    let tokens = tokens.clone();
    connected(|builder| builder.token(move || std::future::ready(tokens.give()))).await
}

/// The next message of the client that is no heartbeat.
async fn hear(peer: &mut Peer) -> Value {
    loop {
        let message = peer.hear().await;
        if message["event"] != "heartbeat" {
            return message;
        }
    }
}

/// The token that the client offers, which must be the next thing that it says.
async fn hear_refresh(peer: &mut Peer) -> String {
    let message = hear(peer).await;
    assert_eq!(message["event"], "refresh");
    message["data"]["token"].as_str().unwrap().to_owned()
}

async fn accept(peer: &mut Peer, expires_at: Option<i64>) -> Refreshed {
    let refreshed = Refreshed::until(expires_at.map(|after| NOW + after));
    peer.push("refreshed", serde_json::to_value(refreshed).unwrap()).await;
    refreshed
}

async fn expect_refreshed(events: &mut Events) -> Refreshed {
    match next(events).await {
        Event::Refreshed(refreshed) => refreshed,
        other => panic!("{other:?}"),
    }
}

/// Says something in both directions: nothing has disturbed the session.
async fn assert_alive(peer: &mut Peer, client: &Client, events: &mut Events) {
    peer.push("still here", json!(1)).await;
    assert_eq!(expect_message(events).await.0, "still here");
    client.send("still there", &1).unwrap();
    assert_eq!(hear(peer).await["event"], "still there");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_ahead_of_its_expiry_again_and_again() {
    let tokens = Tokens::new([Ok(token("0", 600)), Ok(token("1", 1200)), Ok(token("2", 1800))]);
    let (mut edge, mut peer, _client, mut events) = client_with(&tokens).await;
    let start = Instant::now();
    assert_eq!(hear_refresh(&mut peer).await, token("1", 1200));
    let first = start.elapsed().as_secs_f64();
    assert!((485.0..=541.0).contains(&first), "{first}");
    let refreshed = accept(&mut peer, Some(1200)).await;
    assert_eq!(expect_refreshed(&mut events).await, refreshed);

    assert_eq!(hear_refresh(&mut peer).await, token("2", 1800));
    // A minute ahead and up to a tenth of the time that was left.
    let second = start.elapsed().as_secs_f64();
    assert!((first + (1140.0 - first) * 0.9 - 1.0..=1141.0).contains(&second), "{first} {second}");
    accept(&mut peer, None).await;
    expect_refreshed(&mut events).await;

    // This one never expires.
    for _ in 0..1000 {
        assert_eq!(peer.hear().await["event"], "heartbeat");
    }
    assert_eq!(tokens.asked(), 3);
    assert!(edge.is_left_alone(), "all of it was one session");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_nobody_knows_is_not_waited_for() {
    let tokens = Tokens::new([Ok("opaque".to_owned()), Ok("another".to_owned())]);
    let (_edge, mut peer, _client, _events) = client_with(&tokens).await;
    for _ in 0..1000 {
        assert_eq!(peer.hear().await["event"], "heartbeat");
    }
    assert_eq!(tokens.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_application_may_refresh_when_it_likes() {
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("other".to_owned())]);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    let edge = async {
        assert_eq!(hear_refresh(&mut peer).await, "other");
        accept(&mut peer, Some(600)).await
    };
    // Two that ask at once have one answer.
    let (one, other, refreshed) = soon(async { tokio::join!(client.refresh(), client.refresh(), edge) }).await;
    assert_eq!((one.unwrap(), other.unwrap()), (refreshed, refreshed));
    assert_eq!(expect_refreshed(&mut events).await, refreshed);
    assert_eq!(tokens.asked(), 2);
    assert_alive(&mut peer, &client, &mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_leaves_the_session_as_it_was() {
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("other".to_owned())]);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    for said in ["Refresh failed", "Refresh error", "Refresh failed: another user's token"] {
        let edge = async {
            hear_refresh(&mut peer).await;
            // An error about something else is no answer.
            peer.push("error", json!({ "message": "Invalid message format" })).await;
            peer.push("error", json!({ "message": said })).await;
        };
        let (refused, ()) = soon(async { tokio::join!(client.refresh(), edge) }).await;
        assert_eq!(refused, Err(RefreshError::Refused(said.to_owned())));
        match next(&mut events).await {
            Event::Error(Problem::Edge(text)) => assert_eq!(text, "Invalid message format"),
            other => panic!("{other:?}"),
        }
        assert_alive(&mut peer, &client, &mut events).await;
    }
    // Nothing is on offer, so this is about something else.
    peer.push("error", json!({ "message": "Refresh failed" })).await;
    assert!(matches!(next(&mut events).await, Event::Error(Problem::Edge(_))));
}

#[tokio::test(start_paused = true)]
async fn what_fails_by_itself_is_told_of_and_tried_again_in_time() {
    let given = [Ok(token("0", 600)), Err("the issuer is away"), Ok(token("1", 1200)), Ok(token("2", 1800))];
    let tokens = Tokens::new(given);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    let start = Instant::now();
    let edge = async {
        assert_eq!(hear_refresh(&mut peer).await, token("1", 1200));
        peer.push("error", json!({ "message": "Refresh error" })).await;
        assert_eq!(hear_refresh(&mut peer).await, token("2", 1800));
        accept(&mut peer, Some(1800)).await
    };
    let application = async {
        for expected in
            [RefreshError::Token("the issuer is away".to_owned()), RefreshError::Refused("Refresh error".to_owned())]
        {
            match next(&mut events).await {
                Event::Error(Problem::Refresh(error)) => assert_eq!(error, expected),
                other => panic!("{other:?}"),
            }
        }
        expect_refreshed(&mut events).await
    };
    let (offered, told) = tokio::join!(edge, application);
    assert_eq!(offered, told);
    assert!(start.elapsed() < Duration::from_secs(600), "before the expiry: {:?}", start.elapsed());
    assert_alive(&mut peer, &client, &mut events).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_another_token_is_asked_a_few_times_more() {
    let tokens = Tokens::new([Ok(token("0", 600))]);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    assert_eq!(client.refresh().await, Err(RefreshError::SameToken));
    // To well after the expiry.
    for _ in 0..40 {
        assert_eq!(peer.hear().await["event"], "heartbeat");
    }
    // Once for the connection, once for the application, and ever closer to the expiry.
    assert!((4..=9).contains(&tokens.asked()), "{}", tokens.asked());
    // Nothing was offered, and nothing is wrong.
    assert_alive(&mut peer, &client, &mut events).await;
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_knows_no_refresh_is_not_asked_again() {
    let tokens = Tokens::new([Ok(token("0", 600)), Ok(token("1", 1200))]);
    let (mut edge, mut peer, client, mut events) = client_with(&tokens).await;
    hear_refresh(&mut peer).await;
    for _ in 0..10 {
        assert_eq!(peer.hear().await["event"], "heartbeat");
    }
    assert_eq!(tokens.asked(), 2);
    assert_alive(&mut peer, &client, &mut events).await;

    let (refused, ()) =
        soon(async { tokio::join!(client.refresh(), async { drop(hear_refresh(&mut peer).await) }) }).await;
    assert_eq!(refused, Err(RefreshError::NoAnswer(Duration::from_secs(30))));
    // At its end it closes, and a new session begins with a new token.
    peer.close(4005).await;
    expect_disconnected(&mut events).await;
    assert_eq!(edge.accept().await.authenticate().await.token, token("1", 1200));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_taken_is_the_one_that_counts_from_then_on() {
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("other".to_owned())]);
    let (mut edge, mut peer, client, mut events) = client_with(&tokens).await;
    let taken = async {
        hear_refresh(&mut peer).await;
        accept(&mut peer, None).await
    };
    soon(async { tokio::join!(client.refresh(), taken) }).await.0.unwrap();
    expect_refreshed(&mut events).await;
    assert_eq!(client.refresh().await, Err(RefreshError::SameToken));
    // It has expired: to present it again is of no use.
    peer.close(4005).await;
    expect_disconnected(&mut events).await;
    assert!(matches!(expect_disconnected(&mut events).await.0, Disconnect::RefusedToken));
    assert!(edge.is_left_alone());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_edge_takes_is_not_sent() {
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("x".repeat(200_000))]);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    assert_eq!(client.refresh().await, Err(RefreshError::TooLarge));
    assert_alive(&mut peer, &client, &mut events).await;
}

#[tokio::test(start_paused = true)]
async fn there_is_nothing_to_refresh_without_a_connection() {
    let (mut edge, pipe) = FakeEdge::new();
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("other".to_owned())]);
    let provider = tokens.clone();
    let (client, mut events) = builder(pipe).token(move || std::future::ready(provider.give())).connect().unwrap();
    assert_eq!(client.refresh().await, Err(RefreshError::NotConnected));
    let mut peer = edge.admit().await;
    expect_connected(&mut events).await;

    let breaks = async {
        hear_refresh(&mut peer).await;
        drop(peer);
    };
    let (lost, ()) = soon(async { tokio::join!(client.refresh(), breaks) }).await;
    assert_eq!(lost, Err(RefreshError::NotConnected));
    client.close();
    assert_eq!(client.refresh().await, Err(RefreshError::NotConnected));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_told_of() {
    let (_edge, mut peer, client, mut events) = client_with(&Tokens::new([Ok("one".to_owned())])).await;
    for data in [json!(null), json!({}), json!({ "expiresAt": "soon" }), json!({ "expiresAt": 7 })] {
        peer.push("refreshed", data.clone()).await;
        assert!(matches!(next(&mut events).await, Event::Error(Problem::Frame(_))), "{data}");
    }
    assert_alive(&mut peer, &client, &mut events).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_printed_has_the_next_token() {
    let tokens = Tokens::new([Ok("one".to_owned()), Ok("secret".to_owned())]);
    let (_edge, mut peer, client, mut events) = client_with(&tokens).await;
    let edge = async {
        hear_refresh(&mut peer).await;
        peer.push("error", json!({ "message": "Refresh failed" })).await;
    };
    let (refused, ()) = soon(async { tokio::join!(client.refresh(), edge) }).await;
    assert_alive(&mut peer, &client, &mut events).await;
    let printed = format!("{client:?} {events:?} {refused:?}");
    assert!(!printed.contains("secret"), "{printed}");
}
