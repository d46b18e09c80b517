//! A socket that has not authenticated never gets anything but `error`.

use serde_json::json;
use signal_harness::{PubSub, require};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    platform::{Backplane, publish},
    window::Raw,
};

#[tokio::test]
async fn a_socket_without_authentication_gets_nothing_but_errors() {
    require!(PubSub);
    let backplane = Backplane::up().await;
    let member = backplane.window("an").await;
    let mut stranger = Raw::connect(backplane.edge.http_addr()).await;
    stranger.send_json(&json!({ "event": "heartbeat" })).await;
    stranger.send_json(&json!({ "event": "join", "data": { "rooms": ["ws-default"] } })).await;

    let envelope = |kind: &str, target: Option<&str>| {
        let mut envelope = json!({ "serverId": "emitter", "type": kind, "event": "secret", "data": 1 });
        let channel = match target {
            Some(target) => format!("ws:{kind}:{target}"),
            None => format!("ws:{kind}"),
        };
        if let Some(target) = target {
            envelope["target"] = json!(target);
        }
        (channel, envelope.to_string().into_bytes())
    };
    let messages = [
        envelope("broadcast", None),
        envelope("room", Some("ws-default")),
        envelope("room", Some("ws-notification")),
        envelope("user", Some("an")),
        envelope("broadcast", None),
    ];
    publish(&backplane.pubsub, &messages).await;
    member.wait_for("secret", messages.len()).await;

    // Frames leave in order: whatever was sent to the stranger comes before this answer.
    stranger.send(Message::text("not json")).await;
    let mut answers = Vec::new();
    while answers.last().is_none_or(|answer: &serde_json::Value| answer["data"]["message"] != "Invalid message format")
    {
        answers.push(stranger.next_json().await);
    }
    let events: Vec<_> = answers.iter().map(|answer| answer["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["error", "error"], "{answers:?}");
    assert_eq!(answers[0]["data"]["message"], "Not authenticated");

    // Left alone it is closed, and even then hears no more than a reason.
    match stranger.next().await {
        Some(Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 4001),
        other => panic!("{other:?}"),
    }
}
