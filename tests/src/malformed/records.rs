//! Records on the topic that no worker can handle.

use serde_json::{Value, json};

use crate::payment::payment;

/// Each differs from a good record in one way.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
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
