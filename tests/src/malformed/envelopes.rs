//! Payloads on the backplane that are no envelopes.

use serde_json::{Value, json};

/// Channel and payload; none may reach anybody.
pub fn all(client: &str) -> Vec<(&'static str, String, Vec<u8>)> {
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
        envelope.as_object_mut().expect("it is one").remove(name);
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
