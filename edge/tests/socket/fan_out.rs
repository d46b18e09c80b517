//! From the backplane to the right clients, sealed and in order.

use std::collections::HashSet;

use serde_json::{Value, json};
use signal_wire::envelope::Target;

use crate::fixture::{Client, TestEdge, counted};

#[tokio::test]
async fn each_target_reaches_exactly_its_clients() {
    let edge = TestEdge::start(&[]).await;
    let mut an = edge.client("an").await;
    let mut an_again = edge.client("an").await;
    let mut binh = edge.client("binh").await;
    let (an_id, binh_id) = (an.id.clone(), binh.id.clone());

    edge.say(Target::Broadcast, "all", json!({"n": 1})).await;
    edge.say(Target::User("an"), "user", json!(null)).await;
    edge.say(Target::Client(&an_id), "client", json!([1])).await;
    edge.say(Target::Room(&an_id), "own room", json!("x")).await;
    edge.say(Target::Room("ws-default"), "default", json!(1)).await;
    edge.say(Target::Room("ws-notification"), "notification", json!(1)).await;
    edge.say(Target::Room("signal/notification/an"), "recipient", json!(1)).await;
    edge.say(Target::Client(&binh_id), "end", json!(1)).await;
    edge.say(Target::User("an"), "end", json!(1)).await;

    let to_an = ["all", "user", "client", "own room", "default", "notification", "recipient", "end"];
    assert_eq!(events(&mut an).await, to_an);
    let to_an_again = ["all", "user", "default", "notification", "recipient", "end"];
    assert_eq!(events(&mut an_again).await, to_an_again);
    assert_eq!(events(&mut binh).await, ["all", "default", "notification", "end"]);
}

/// The events heard until "end".
async fn events(client: &mut Client) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        let message = client.socket.hear().await;
        events.push(message["event"].as_str().unwrap().to_owned());
        if message["event"] == "end" {
            return events;
        }
    }
}

#[tokio::test]
async fn recorded_envelopes_of_sister_services_arrive_as_they_were_meant() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "dashboard,r/ü")]).await;
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/ignis.json")).unwrap();
    let mut client = edge.client("user-1").await;
    client.socket.say_sealed(&json!({"event": "join", "data": {"rooms": ["dashboard", "r/ü"]}})).await;
    client.socket.settle().await;
    for vector in vectors["emitterEnvelopes"].as_array().unwrap() {
        let raw = vector["raw"].as_str().unwrap().replace("c-1", &client.id);
        let channel = vector["channel"].as_str().unwrap().replace("c-1", &client.id);
        let envelope: Value = serde_json::from_str(&raw).unwrap();
        if envelope["exclude"].is_array() {
            edge.say_raw(&channel, raw.clone()).await;
            continue;
        }
        edge.say_raw(&channel, raw).await;
        let expected = json!({"event": envelope["event"], "data": envelope["data"]});
        assert_eq!(client.socket.hear().await, expected);
    }
}

#[tokio::test]
async fn excluded_clients_are_passed_over_in_rooms_and_broadcasts_alone() {
    let edge = TestEdge::start(&[]).await;
    let (mut an, mut binh) = (edge.client("an").await, edge.client("binh").await);
    for (channel, kind, target) in [
        ("ws:broadcast", "broadcast", None),
        ("ws:room:ws-default", "room", Some("ws-default")),
        ("ws:user:an", "user", Some("an")),
    ] {
        let mut envelope =
            json!({"serverId": "x", "type": kind, "event": kind, "data": 1, "exclude": [an.id, "no id"]});
        if let Some(target) = target {
            envelope["target"] = json!(target);
        }
        edge.say_raw(channel, envelope.to_string()).await;
    }
    edge.say(Target::Broadcast, "end", json!(1)).await;
    assert_eq!(events(&mut an).await, ["user", "end"]);
    assert_eq!(events(&mut binh).await, ["broadcast", "room", "end"]);
}

#[tokio::test]
async fn messages_to_one_client_keep_their_order() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let room = "signal/notification/an";
    let messages: Vec<_> = (0..500)
        .map(|n| {
            let target = [Target::User("an"), Target::Room(room), Target::Broadcast][n % 3];
            (target, "n", json!(n))
        })
        .collect();
    edge.say_all(&messages[..250]).await;
    for message in &messages[250..] {
        edge.say_all(std::slice::from_ref(message)).await;
    }
    for n in 0..500 {
        assert_eq!(client.socket.hear().await["data"], json!(n));
    }
}

#[tokio::test]
async fn order_holds_for_audiences_that_a_lane_serves() {
    let edge = TestEdge::start(&[]).await;
    // More than are served on the spot in each of several partitions.
    let mut clients = Vec::new();
    for n in 0..300 {
        clients.push(edge.client(&format!("user-{n}")).await);
    }
    let mut messages = Vec::new();
    for n in 0..60 {
        messages.push((Target::Broadcast, "n", json!(n)));
        messages.push((Target::User("user-7"), "n", json!(format!("{n}, for you"))));
    }
    for chunk in messages.chunks(7) {
        edge.say_all(chunk).await;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        for n in 0..60 {
            assert_eq!(client.socket.hear().await["data"], json!(n));
            if number == 7 {
                assert_eq!(client.socket.hear().await["data"], json!(format!("{n}, for you")));
            }
        }
    }
}

#[tokio::test]
async fn ivs_never_repeat_under_a_key() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let messages: Vec<_> = (0..200).map(|n| (Target::User("an"), "n", json!(n))).collect();
    edge.say_all(&messages).await;
    let mut ivs = HashSet::new();
    for _ in 0..200 {
        let frame: Value = serde_json::from_str(&client.socket.hear_frame().await.unwrap()).unwrap();
        assert!(ivs.insert(frame["data"]["iv"].as_str().unwrap().to_owned()));
    }
}

#[tokio::test]
async fn data_is_handed_on_to_the_byte_and_absent_data_stays_absent() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let precise = r#"{"a":1.10,"big":123456789012345678901234567890,"a":"\u00e9"}"#;
    let head = r#"{"serverId":"emitter","type":"user","target":"an","event":"e""#;
    edge.say_raw("ws:user:an", format!("{head},\"data\":{precise}}}")).await;
    edge.say_raw("ws:user:an", format!("{head}}}")).await;
    for expected in [format!(r#"{{"event":"e","data":{precise}}}"#), r#"{"event":"e"}"#.to_owned()] {
        let frame: Value = serde_json::from_str(&client.socket.hear_frame().await.unwrap()).unwrap();
        let sealed = frame["data"].to_string();
        let sealed = signal_wire::sealed::Sealed::parse(&sealed).unwrap();
        assert_eq!(client.socket.cipher.as_ref().unwrap().open(&sealed).unwrap(), expected.as_bytes());
    }
}

#[tokio::test]
async fn payloads_that_are_no_envelopes_are_counted_and_disturb_nothing() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let deep = format!(r#"{{"serverId":"x","type":"user","target":"an","event":{}1"#, "[".repeat(100_000));
    let large =
        format!(r#"{{"serverId":"x","type":"user","target":"an","event":"e","data":"{}"}}"#, "x".repeat(1 << 20));
    let bad: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "true",
        "7",
        "\"text\"",
        "[]",
        "{}",
        "{",
        "}",
        "{}{}",
        "{\"a\"}",
        "\u{0}",
        r#"{"serverId":"x"}"#,
        r#"{"serverId":"x","type":"user","target":"an"}"#,
        r#"{"serverId":"x","type":"user","event":"e"}"#,
        r#"{"serverId":"x","type":"user","target":"binh","event":"e"}"#,
        r#"{"serverId":"x","type":"room","target":"an","event":"e"}"#,
        r#"{"serverId":"x","type":"broadcast","event":"e"}"#,
        r#"{"serverId":"x","type":"everybody","target":"an","event":"e"}"#,
        r#"{"serverId":"x","type":"user","target":["an"],"event":"e"}"#,
        r#"{"serverId":"x","type":"user","target":null,"event":"e"}"#,
        r#"{"serverId":null,"type":"user","target":"an","event":"e"}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":7}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":""}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"\ud800"}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"e","data":}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"e","data":01}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"e","exclude":{}}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"e","exclude":[7]}"#,
        r#"{"serverId":"x","type":"user","target":"an","event":"e"} trailing"#,
        &deep,
        &large,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"\xff\xfe".to_vec(), b"{\"serverId\":\"\xff\"}".to_vec()])
    .collect();
    assert!(bad.len() >= 30);
    let before = counted("signal_edge_bus_refused_total", &[]);
    for payload in &bad {
        edge.say_raw("ws:user:an", payload.clone()).await;
    }
    edge.say(Target::User("an"), "good", json!(1)).await;
    assert_eq!(client.socket.hear().await, json!({"event": "good", "data": 1}));
    assert!(counted("signal_edge_bus_refused_total", &[]) >= before + bad.len() as f64);
}
