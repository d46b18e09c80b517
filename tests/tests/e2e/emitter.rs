//! What sister services publish today reaches the right clients, to the byte.

use serde_json::{Value, json};
use signal_harness::{PubSub, eventually, require};

use crate::platform::{Backplane, SOON, publish};

#[tokio::test]
async fn recorded_emitter_envelopes_reach_the_right_clients() {
    require!(PubSub);
    let backplane = Backplane::with(|edge| edge.env("SIGNAL_JOINABLE_ROOMS", "dashboard,r/*")).await;
    // In the recordings `c-1` is a client's id and `user-1` its user.
    let first = backplane.window("user-1").await;
    let second = backplane.window("user-2").await;
    let outside = backplane.window("user-3").await;
    for window in [&first, &second] {
        window.send("join", json!({ "rooms": ["dashboard", "r/ü"] })).await;
    }
    // A join is answered by nothing: it has worked when a message to the room arrives.
    for (room, probe) in [("dashboard", "probe/1"), ("r/ü", "probe/2")] {
        let envelope = json!({ "serverId": "emitter", "type": "room", "target": room, "event": probe });
        eventually(SOON, || async {
            backplane.publish(&format!("ws:room:{room}"), envelope.to_string().as_bytes()).await;
            [&first, &second].iter().all(|window| !window.data_of(probe).is_empty())
        })
        .await;
    }

    let vectors: Value = serde_json::from_str(include_str!("../../vectors/ignis.json")).unwrap();
    let recorded: Vec<(String, Vec<u8>)> = vectors["emitterEnvelopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| {
            let text = |name: &str| vector[name].as_str().unwrap().replace("c-1", first.id());
            (text("channel"), text("raw").into_bytes())
        })
        .collect();
    assert_eq!(recorded.len(), 5);
    publish(&backplane.pubsub, &recorded).await;
    for window in [&first, &second, &outside] {
        window.wait_for("system:maintenance", 1).await;
    }

    let heard = |window: &crate::window::Window| {
        let texts = window.texts().into_iter();
        texts.filter(|text| !text.contains("probe/")).collect::<Vec<String>>()
    };
    let to_client = r#"{"event":"job:progress","data":{"progress":75}}"#;
    let to_user = r#"{"event":"notification","data":{"message":"hi"}}"#;
    let to_dashboard = r#"{"event":"data:update","data":[1,2]}"#;
    let to_room = r#"{"event":"e","data":null}"#;
    let to_all = r#"{"event":"system:maintenance","data":"soon"}"#;
    assert_eq!(heard(&first), [to_client, to_user, to_room, to_all]);
    assert_eq!(heard(&second), [to_dashboard, to_room, to_all]);
    assert_eq!(heard(&outside), [to_all]);
}
