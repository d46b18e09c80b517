//! Malformed records and envelopes are counted and disturb nothing.

use serde_json::{Value, json};
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Record, eventually, require};

use crate::platform::{Backplane, Platform, SOON, payment, publish};

const REJECTED_RECORDS: &str = "signal_worker_records_rejected_total";
const REFUSED_ENVELOPES: &str = "signal_edge_bus_refused_total";

/// Each differs from a good record in one way.
pub fn bad_records() -> Vec<(&'static str, Vec<u8>)> {
    let with = |name: &str, value: Value| {
        let mut event = payment("bad", &json!({ "merchantId": "mer-1" }));
        event[name] = value;
        event.to_string().into_bytes()
    };
    let good = payment("bad", &json!({ "merchantId": "mer-1" })).to_string();
    let broken_text =
        |bytes: &[u8]| [br#"{"id":"bad","type":"#.as_slice(), bytes, br#","merchantId":"mer-1"}"#].concat();
    vec![
        ("a blank", b" ".to_vec()),
        ("no JSON", b"PAYMENT_SUCCESS".to_vec()),
        ("cut off", good.as_bytes()[..good.len() - 5].to_vec()),
        ("two values", format!("{good}{good}").into_bytes()),
        ("trailing comma", format!("{},}}", &good[..good.len() - 1]).into_bytes()),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("null", b"null".to_vec()),
        ("a number", b"42".to_vec()),
        ("a string", b"\"PAYMENT_SUCCESS\"".to_vec()),
        ("an array", format!("[{good}]").into_bytes()),
        ("an empty object", b"{}".to_vec()),
        ("nested 100,000 deep", "[".repeat(100_000).into_bytes()),
        ("objects nested 100,000 deep", r#"{"a":"#.repeat(100_000).into_bytes()),
        (
            "a field nested 200 deep",
            format!(r#"{{"type":"T","merchantId":"mer-1","data":{{"a":{}{}}}}}"#, "[".repeat(200), "]".repeat(200))
                .into_bytes(),
        ),
        ("a number beyond a double", broken_text(b"1e999")),
        ("a number of 100,000 digits", broken_text("9".repeat(100_000).as_bytes())),
        ("invalid UTF-8 in a string", broken_text(b"\"\xff\xfe\"")),
        ("an overlong UTF-8 form", broken_text(b"\"\xc0\xaf\"")),
        ("a lone surrogate", broken_text(br#""\ud800""#)),
        ("an unknown escape", broken_text(br#""\x41""#)),
        ("a bare control character", broken_text(b"\"a\nb\"")),
        ("an escaped U+0000", broken_text(br#""PAYMENT\u0000SUCCESS""#)),
        ("no type", with("type", Value::Null)),
        ("an empty type", with("type", json!(""))),
        ("a type that is an object", with("type", json!({}))),
        ("a type nobody composes", with("type", json!("PAYMENT_NEVER_HEARD_OF"))),
        ("an id that is an array", with("id", json!(["evt"]))),
        ("an id that is a fraction", with("id", json!(1.5))),
        ("an id of 100,000 letters", with("id", json!("x".repeat(100_000)))),
        ("no scope", with("merchantId", Value::Null)),
        ("a merchant that is a list", with("merchantId", json!(["mer-1"]))),
        ("an empty organizer", with("organizerId", json!(""))),
        ("users that are a string", with("userIds", json!("an"))),
        ("users that are objects", with("userIds", json!([{ "id": "an" }]))),
        ("exclusions that are a number", with("excludeUserIds", json!(3))),
        ("a time that is none", with("occurredAt", json!("yesterday"))),
        ("a month 13", with("occurredAt", json!("2026-13-01T00:00:00Z"))),
        ("an actor without an id", with("actor", json!({ "type": "User" }))),
        ("data that is a list", with("data", json!([]))),
        ("no amount", with("data", json!({ "currency": "VND" }))),
        ("an amount that is no number", with("data", json!({ "amount": "plenty", "currency": "VND" }))),
    ]
}

#[tokio::test]
async fn malformed_records_are_counted_and_the_next_good_one_arrives() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let platform = Platform::up().await;
    platform.merchant("mer-1", &["an"]).await;
    let window = platform.window("an").await;
    let records = bad_records();
    assert!(records.len() >= 30);

    for (index, (kind, value)) in records.iter().enumerate() {
        platform.produce_record(&Record::new(value.clone())).await;
        let expected = (index + 1) as f64;
        eventually(SOON, || async {
            let rejected = platform.worker.metrics().await.sum(REJECTED_RECORDS, &[]);
            if rejected == expected { Ok(()) } else { Err(format!("{kind}: {rejected} of {expected} rejected")) }
        })
        .await;
    }
    platform.fence("good", &[&window]).await;

    assert_eq!(window.event_ids(), ["good"]);
    assert_eq!(platform.rows().await, 1);
    assert_eq!(platform.worker.health("ready").await.unwrap().status, 200);
}

/// Channel and payload; none may reach anybody.
fn bad_envelopes(client: &str) -> Vec<(&'static str, String, Vec<u8>)> {
    let good = json!({ "serverId": "emitter", "type": "user", "target": "an", "event": "bad", "data": 1 });
    let text = good.to_string();
    let user = "ws:user:an";
    let with = |name: &str, value: Value| {
        let mut envelope = good.clone();
        envelope[name] = value;
        envelope.to_string().into_bytes()
    };
    let without = |name: &str| {
        let mut envelope = good.clone();
        envelope.as_object_mut().unwrap().remove(name);
        envelope.to_string().into_bytes()
    };
    let raw = |data: &[u8]| {
        let head = br#"{"serverId":"emitter","type":"user","target":"an","event":"bad","data":"#;
        [head.as_slice(), data, b"}"].concat()
    };
    let to_user = vec![
        ("nothing", Vec::new()),
        ("a blank", b" ".to_vec()),
        ("no JSON", b"hello".to_vec()),
        ("cut off", text.as_bytes()[..text.len() - 3].to_vec()),
        ("two values", format!("{text}{text}").into_bytes()),
        ("trailing comma", format!("{},}}", &text[..text.len() - 1]).into_bytes()),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("a number", b"42".to_vec()),
        ("a string", b"\"bad\"".to_vec()),
        ("an array of the fields", br#"["emitter","user","an","bad",1]"#.to_vec()),
        ("an empty object", b"{}".to_vec()),
        ("nested 100,000 deep", "[".repeat(100_000).into_bytes()),
        ("objects nested 100,000 deep", r#"{"data":"#.repeat(100_000).into_bytes()),
        ("data that does not close", raw("[".repeat(1000).as_bytes())),
        ("data of invalid UTF-8", raw(b"\"\xff\xfe\"")),
        ("data that is no JSON", raw(b"undefined")),
        ("data with a bare newline", raw(b"\"a\nb\"")),
        (
            "invalid UTF-8 in the event",
            text.replace("bad", "b?d")
                .into_bytes()
                .iter()
                .map(|&byte| if byte == b'?' { 0xff } else { byte })
                .collect(),
        ),
        ("a lone surrogate in the event", text.replace("bad", r"\ud800").into_bytes()),
        ("no server id", without("serverId")),
        ("a server id that is a number", with("serverId", json!(7))),
        ("no type", without("type")),
        ("a type nobody knows", with("type", json!("everybody"))),
        ("a type that is a list", with("type", json!(["user"]))),
        ("no target", without("target")),
        ("a target that is an object", with("target", json!({}))),
        ("another user's target", with("target", json!("binh"))),
        ("another type than the channel's", with("type", json!("room"))),
        ("no event", without("event")),
        ("an empty event", with("event", json!(""))),
        ("an event that is null", with("event", Value::Null)),
        ("an event of a number of 10,000 digits", text.replace("\"bad\"", &"9".repeat(10_000)).into_bytes()),
        ("exclude that is a string", with("exclude", json!(client))),
        ("exclude with numbers", with("exclude", json!([1e300]))),
        (
            "exclude nested deep",
            text.replace("\"data\"", &format!("\"exclude\":{}{},\"data\"", "[".repeat(500), "]".repeat(500)))
                .into_bytes(),
        ),
        ("more than 1 MiB", with("data", json!("x".repeat(1024 * 1024)))),
    ];
    let mut all: Vec<_> = to_user.into_iter().map(|(kind, payload)| (kind, user.to_owned(), payload)).collect();
    all.push(("a broadcast with a target", "ws:broadcast".to_owned(), text.replace("user", "broadcast").into_bytes()));
    all.push(("a user's on the broadcast channel", "ws:broadcast".to_owned(), text.clone().into_bytes()));
    all.push(("a user's on a client's channel", format!("ws:client:{client}"), text.into_bytes()));
    all
}

#[tokio::test]
async fn malformed_envelopes_are_counted_and_the_next_good_one_arrives() {
    require!(PubSub);
    let backplane = Backplane::up().await;
    let window = backplane.window("an").await;
    let envelopes = bad_envelopes(window.id());
    assert!(envelopes.len() >= 30);

    for (index, (kind, channel, payload)) in envelopes.iter().enumerate() {
        publish(&backplane.pubsub, &[(channel.clone(), payload.clone())]).await;
        let expected = (index + 1) as f64;
        eventually(SOON, || async {
            let refused = backplane.edge.metrics().await.sum(REFUSED_ENVELOPES, &[]);
            if refused == expected { Ok(()) } else { Err(format!("{kind}: {refused} of {expected} refused")) }
        })
        .await;
    }
    let good = json!({ "serverId": "emitter", "type": "user", "target": "an", "event": "good", "later": {} });
    backplane.publish("ws:user:an", good.to_string().as_bytes()).await;
    window.wait_for("good", 1).await;

    assert_eq!(window.texts(), [r#"{"event":"good"}"#]);
    assert_eq!(backplane.edge.health("ready").await.unwrap().status, 200);
}
