//! Joining and leaving.

use serde_json::json;
use signal_wire::envelope::Target;

use crate::fixture::{Client, TestEdge, counted};

async fn join(client: &mut Client, rooms: &[&str]) {
    client.socket.say(json!({"event": "join", "data": {"rooms": rooms}}).to_string()).await;
    client.socket.settle().await;
}

async fn leave(client: &mut Client, rooms: &[&str]) {
    client.socket.say(json!({"event": "leave", "data": {"rooms": rooms}}).to_string()).await;
    client.socket.settle().await;
}

/// Whether a message to `room` reaches `client`; a message to the client itself follows it.
async fn hears(edge: &TestEdge, client: &mut Client, room: &str) -> bool {
    let id = client.id.clone();
    edge.say_all(&[(Target::Room(room), "room", json!(1)), (Target::Client(&id), "end", json!(1))]).await;
    let heard = client.socket.hear().await["event"] == "room";
    if heard {
        assert_eq!(client.socket.hear().await["event"], "end");
    }
    heard
}

#[tokio::test]
async fn joined_rooms_are_heard_until_they_are_left() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "order/*, desk/{userId}")]).await;
    let (mut an, mut binh) = (edge.client("an").await, edge.client("binh").await);
    join(&mut an, &["order/1", "order/1", "desk/an", "desk/binh"]).await;
    join(&mut binh, &["order/1"]).await;
    assert!(hears(&edge, &mut an, "order/1").await);
    assert_eq!(binh.socket.hear().await["event"], "room");
    assert!(hears(&edge, &mut an, "desk/an").await);
    assert!(!hears(&edge, &mut an, "desk/binh").await);
    assert!(!hears(&edge, &mut an, "order/2").await);
    leave(&mut an, &["order/1", "never joined"]).await;
    assert!(!hears(&edge, &mut an, "order/1").await);
    assert_eq!(binh.socket.hear().await["event"], "room");
    join(&mut an, &["order/1"]).await;
    assert!(hears(&edge, &mut an, "order/1").await);
}

#[tokio::test]
async fn automatic_rooms_can_be_left_and_joined_again() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let own = client.id.clone();
    for room in ["ws-default", "ws-notification", "signal/notification/an", &own] {
        assert!(hears(&edge, &mut client, room).await, "{room}");
        leave(&mut client, &[room]).await;
        assert!(!hears(&edge, &mut client, room).await, "{room}");
        join(&mut client, &[room]).await;
        assert!(hears(&edge, &mut client, room).await, "{room}");
    }
}

#[tokio::test]
async fn what_belongs_to_others_is_refused_in_silence_and_counted() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "*")]).await;
    let (mut an, binh) = (edge.client("an").await, edge.client("binh").await);
    let long = "x".repeat(257);
    for (room, reason) in [
        (binh.id.as_str(), "room_of_another_client"),
        ("signal/notification/binh", "room_of_another_user"),
        ("ws:broadcast", "room_name"),
        ("", "room_name"),
        (&long, "room_name"),
    ] {
        let before = counted("signal_edge_inbound_refused_total", &[("reason", reason)]);
        join(&mut an, &[room]).await;
        assert!(counted("signal_edge_inbound_refused_total", &[("reason", reason)]) > before, "{room}");
    }
    edge.say(Target::Room(&binh.id), "secret", json!(1)).await;
    edge.say(Target::Room("signal/notification/binh"), "secret", json!(1)).await;
    edge.say(Target::User("an"), "end", json!(1)).await;
    assert_eq!(an.socket.hear().await["event"], "end");
}

#[tokio::test]
async fn rooms_outside_the_policy_are_refused_in_silence_and_counted() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let before = counted("signal_edge_inbound_refused_total", &[("reason", "room_policy")]);
    join(&mut client, &["lobby"]).await;
    assert!(counted("signal_edge_inbound_refused_total", &[("reason", "room_policy")]) > before);
    assert!(!hears(&edge, &mut client, "lobby").await);
}

#[tokio::test]
async fn a_client_holds_at_most_256_rooms() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "r/*")]).await;
    let mut client = edge.client("an").await;
    let rooms: Vec<String> = (0..300).map(|n| format!("r/{n}")).collect();
    let names: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let before = counted("signal_edge_inbound_refused_total", &[("reason", "room_limit")]);
    join(&mut client, &names).await;
    // Four of the 256 are the automatic ones.
    assert!(hears(&edge, &mut client, "r/251").await);
    assert!(!hears(&edge, &mut client, "r/252").await);
    assert!(counted("signal_edge_inbound_refused_total", &[("reason", "room_limit")]) >= before + 48.0);
    leave(&mut client, &["r/0"]).await;
    join(&mut client, &["r/299"]).await;
    assert!(hears(&edge, &mut client, "r/299").await);
}

#[tokio::test]
async fn rooms_are_left_by_leaving_altogether() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "lobby")]).await;
    let mut gone = edge.client("an").await;
    join(&mut gone, &["lobby"]).await;
    drop(gone);
    signal_harness::eventually(crate::fixture::SOON, || async { edge.edge.connections() == 0 }).await;
    let mut back = edge.client("an").await;
    assert!(!hears(&edge, &mut back, "lobby").await);
}
