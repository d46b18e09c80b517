//! From the opening of a socket to `connected`, or to the close.

use std::time::Duration;

use serde_json::{Value, json};
use signal_harness::{Algorithm, Issuer, eventually};
use signal_wire::{connected::encode, envelope::Target};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::fixture::{SOON, TestEdge, counted, stream_settings};

#[test]
fn the_times_and_limits_are_those_of_the_protocol() {
    let settings = stream_settings(&[]);
    assert_eq!(settings.stream_path, "/stream");
    assert_eq!(settings.authentication_timeout, Duration::from_secs(5));
    assert_eq!(settings.handshake_timeout, Duration::from_secs(15));
    assert_eq!(settings.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(settings.heartbeat_timeout, Duration::from_secs(90));
    assert_eq!(settings.outbound_limit, 1024 * 1024);
}

#[tokio::test]
async fn a_client_is_connected_in_plaintext_and_hears_nothing_before() {
    let edge = TestEdge::start(&[]).await;
    let mut socket = edge.open().await;
    let connected = socket.authenticate(&edge.issuer.token("user-1")).await;
    let keys: Vec<_> = connected.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "salt", "serverPublicKey", "time", "userId"]);
    let id = connected["id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().to_string(), id);
    assert_eq!(connected["userId"], "user-1");
    let at = signal_wire::timestamp::parse(connected["time"].as_str().unwrap()).unwrap();
    assert!((time::OffsetDateTime::now_utc() - at).abs() < SOON);
    assert!(connected["time"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn numeric_users_are_echoed_as_numbers_and_reached_by_their_decimal_text() {
    let edge = TestEdge::start(&[]).await;
    let mut claims = Issuer::claims("", Duration::from_secs(60));
    claims["userId"] = json!(42);
    let mut socket = edge.open().await;
    let connected = socket.authenticate(&edge.issuer.mint(Algorithm::Es256, &claims)).await;
    assert_eq!(connected["userId"], json!(42));
    edge.say(Target::User("42"), "hello", json!(1)).await;
    assert_eq!(socket.hear().await, json!({"event": "hello", "data": 1}));
}

#[tokio::test]
async fn every_signature_algorithm_of_the_set_is_accepted() {
    let edge = TestEdge::start(&[]).await;
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let token = edge.issuer.mint(algorithm, &Issuer::claims("user-1", Duration::from_secs(60)));
        assert_eq!(edge.open().await.authenticate(&token).await["userId"], "user-1");
    }
}

#[tokio::test]
async fn each_connection_gets_a_fresh_server_key_and_salt() {
    let edge = TestEdge::start(&[]).await;
    let token = edge.issuer.token("user-1");
    let first = edge.open().await.authenticate(&token).await;
    let second = edge.open().await.authenticate(&token).await;
    for field in ["serverPublicKey", "salt", "id"] {
        assert_ne!(first[field], second[field], "{field}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_closed_with_4001() {
    let edge = TestEdge::start(&[("SIGNAL_AUTHENTICATION_TIMEOUT", "50ms")]).await;
    let mut socket = edge.open().await;
    assert_eq!(socket.closed().await, (4001, "Authentication timeout".into()));
}

#[tokio::test]
async fn a_check_that_takes_too_long_is_closed_with_4001() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", silent.local_addr().unwrap());
    let variables = &[("SIGNAL_HANDSHAKE_TIMEOUT", "100ms"), ("SIGNAL_AUTHENTICATION_TIMEOUT", "9s")];
    let edge = TestEdge::start_with(variables, Issuer::launch().await, &url).await;
    let mut socket = edge.open().await;
    socket.offer(&edge.issuer.token("user-1")).await;
    assert_eq!(socket.closed().await, (4001, "Authentication timeout".into()));
}

#[tokio::test]
async fn a_refused_token_is_told_and_closed_with_4003() {
    let edge = TestEdge::start(&[]).await;
    let expired = Issuer::claims("user-1", Duration::ZERO);
    let mut expired = expired.clone();
    expired["exp"] = json!(1_000_000_000);
    let stranger = Issuer::launch().await;
    for token in [
        "",
        "not a token",
        &edge.issuer.mint(Algorithm::Es256, &expired),
        &stranger.token("user-1"),
        &edge.issuer.mint(Algorithm::Es256, &json!({})),
    ] {
        let mut socket = edge.open().await;
        socket.offer(token).await;
        assert_eq!(socket.hear_error().await, "Authentication failed");
        assert_eq!(socket.closed().await, (4003, "Authentication failed".into()), "{token}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_string_is_a_refused_token() {
    let edge = TestEdge::start(&[]).await;
    for data in [json!(null), json!({}), json!([]), json!({"token": 7}), json!({"token": null, "publicKey": {}})] {
        let mut socket = edge.open().await;
        socket.say(json!({"event": "authenticate", "data": data}).to_string()).await;
        assert_eq!(socket.hear_error().await, "Authentication failed");
        assert_eq!(socket.closed().await.0, 4003);
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_checked_is_told_so() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", nobody.local_addr().unwrap());
    drop(nobody);
    let edge = TestEdge::start_with(&[], Issuer::launch().await, &url).await;
    let mut socket = edge.open().await;
    socket.offer(&edge.issuer.token("user-1")).await;
    assert_eq!(socket.hear_error().await, "Authentication error");
    assert_eq!(socket.closed().await, (4003, "Authentication failed".into()));
}

#[tokio::test]
async fn a_missing_or_bad_public_key_is_told_and_closed_with_4004() {
    let edge = TestEdge::start(&[]).await;
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/ignis.json")).unwrap();
    let recorded = vectors["rejectedPublicKeys"].as_array().unwrap().iter().map(|vector| vector["publicKey"].clone());
    let valid = edge.open().await.public_key();
    let others = [
        json!(null),
        json!(7),
        json!({}),
        json!(valid.trim_end_matches('=')),
        json!(format!("{valid}\n")),
        json!(encode(&[4; 65])),
        json!(encode(&[4; 66])),
        json!(encode(&[2; 33])),
        json!("B".repeat(100_000)),
    ];
    for key in recorded.chain(others) {
        let mut socket = edge.open().await;
        let data = json!({"token": edge.issuer.token("user-1"), "publicKey": key});
        socket.say(json!({"event": "authenticate", "data": data}).to_string()).await;
        assert_eq!(socket.hear_error().await, "Encryption handshake failed");
        assert_eq!(socket.closed().await, (4004, "Encryption required".into()));
    }
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_key_is_looked_at() {
    let edge = TestEdge::start(&[]).await;
    let mut socket = edge.open().await;
    socket.say(r#"{"event":"authenticate","data":{"token":"x"}}"#).await;
    assert_eq!(socket.hear_error().await, "Authentication failed");
}

#[tokio::test]
async fn before_connected_there_are_errors_and_silence() {
    let edge = TestEdge::start(&[]).await;
    let mut socket = edge.open().await;
    for (message, error) in [
        (r#"{"event":"heartbeat"}"#, None),
        (r#"{"data":1}"#, None),
        ("hello", Some("Invalid message format")),
        ("null", Some("Invalid message format")),
        ("[]", Some("Invalid message format")),
        (r#"{"event":"join","data":{"rooms":["a"]}}"#, Some("Not authenticated")),
        (r#"{"event":"encrypted","data":{"iv":"","ct":""}}"#, Some("Not authenticated")),
        (r#"{"event":"connected"}"#, Some("Not authenticated")),
    ] {
        socket.say(message).await;
        if let Some(error) = error {
            assert_eq!(socket.hear_error().await, error, "{message}");
        }
    }
    socket.send(Message::binary(&b"{\"event\":\"x\"}"[..])).await;
    assert_eq!(socket.hear_error().await, "Not authenticated");
    // None of them closed, and each silence was one: the next thing heard is `connected`.
    socket.authenticate(&edge.issuer.token("user-1")).await;
}

#[tokio::test]
async fn authenticating_twice_is_an_error_while_the_first_is_checked_and_after() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", silent.local_addr().unwrap());
    let stuck = TestEdge::start_with(&[], Issuer::launch().await, &url).await;
    let mut socket = stuck.open().await;
    socket.offer("a.b.c").await;
    // A token that no key set is needed to refuse would be refused at once.
    let mut socket = stuck.open().await;
    socket.offer(&stuck.issuer.token("user-1")).await;
    socket.offer(&stuck.issuer.token("user-1")).await;
    assert_eq!(socket.hear_error().await, "Already authenticated");
    socket.say(r#"{"event":"join"}"#).await;
    assert_eq!(socket.hear_error().await, "Not authenticated");

    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("user-1").await.socket;
    client.say(r#"{"event":"authenticate","data":{}}"#).await;
    assert_eq!(client.hear_error().await, "Already authenticated");
    client.settle().await;
}

#[tokio::test]
async fn nothing_overtakes_connected() {
    let edge = TestEdge::start(&[]).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let bus = std::sync::Arc::clone(&edge.bus);
    let noise = tokio::spawn(async move {
        let payload = r#"{"serverId":"emitter","type":"broadcast","event":"noise","data":1}"#;
        let noise = signal_bus::Publication { channel: "ws:broadcast".into(), payload: payload.into() };
        let forever = async {
            loop {
                bus.publish(std::slice::from_ref(&noise)).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = forever => {}, _ = stopped => {} }
    });
    for _ in 0..20 {
        let mut socket = edge.open().await;
        // A refused message shows that this socket is served, and still hears no push.
        socket.say("hello").await;
        assert_eq!(socket.hear_error().await, "Invalid message format");
        socket.authenticate(&edge.issuer.token("user-1")).await;
        assert_eq!(socket.hear().await, json!({"event": "noise", "data": 1}));
    }
    drop(stop);
    noise.await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_during_the_check_leaves_nothing_behind() {
    let edge = TestEdge::start(&[]).await;
    for _ in 0..20 {
        let mut socket = edge.open().await;
        socket.offer(&edge.issuer.token("user-1")).await;
        drop(socket);
    }
    let mut last = edge.client("user-1").await;
    eventually(SOON, || async { (edge.edge.connections() == 1).then_some(()) }).await;
    edge.say(Target::User("user-1"), "still", json!(1)).await;
    assert_eq!(last.socket.hear().await["event"], "still");
}

#[tokio::test]
async fn what_is_no_upgrade_gets_an_answer() {
    let edge = TestEdge::start(&[]).await;
    let before = counted("signal_edge_upgrades_refused_total", &[]);
    let answer = signal_harness::get(edge.addr, "/stream").await.unwrap();
    assert_eq!(answer.status, 426);
    assert!(answer.body.contains("\"statusCode\":426"), "{}", answer.body);
    assert!(counted("signal_edge_upgrades_refused_total", &[]) > before);
    let answer = signal_harness::get(edge.addr, "/elsewhere").await.unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("\"requestId\""), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_after_connected_is_heard() {
    let edge = std::sync::Arc::new(TestEdge::start(&[]).await);
    let clients: Vec<_> = (0..16)
        .map(|n| {
            let edge = std::sync::Arc::clone(&edge);
            tokio::spawn(async move {
                let user = format!("user-{n}");
                for round in 0..40 {
                    let mut socket = edge.open().await;
                    socket.offer(&edge.issuer.token(&user)).await;
                    let connected = socket.hear_frame().await.unwrap();
                    edge.say(Target::User(&user), "first", json!(round)).await;
                    socket.accept_frame(&connected);
                    assert_eq!(socket.hear().await, json!({"event": "first", "data": round}));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}
