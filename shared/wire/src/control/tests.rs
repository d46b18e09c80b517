use proptest::prelude::*;
use serde_json::{json, value::to_raw_value};

use super::*;

fn json_of(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}

fn again(control: &Control) -> Control {
    Control::decode(&control.encode()).unwrap()
}

fn request(ask: Ask) -> Control {
    Control::Request(Request { edge: "e".into(), id: "r".into(), ask })
}

#[test]
fn channels_name_what_they_carry() {
    for (channel, name) in [
        (Channel::Control, "signal:control"),
        (Channel::Reply("7"), "signal:control:reply:7"),
        (Channel::Canary("e"), "signal:control:canary:e"),
    ] {
        assert_eq!(channel.name(), name);
        assert_eq!(Channel::of(name), Some(channel));
    }
    assert_eq!(Channel::of("ws:broadcast"), None);
    assert_eq!(Channel::of("signal:controls"), None);
}

#[test]
fn announcements_have_their_shape() {
    let counts = Counts { connections: 4, authenticated: 3, users: 2, rooms: 1 };
    let announcement = Announcement { edge: "e".into(), version: "0.1.0".into(), started_at: 7, counts };
    let hello = Control::Hello(announcement.clone());
    assert_eq!(
        json_of(&hello.encode()),
        json!({"kind": "hello", "edge": "e", "version": "0.1.0", "startedAt": 7,
               "counts": {"connections": 4, "authenticated": 3, "users": 2, "rooms": 1}})
    );
    assert!(matches!(again(&hello), Control::Hello(read) if read == announcement));
    assert!(matches!(again(&Control::Announce(announcement.clone())), Control::Announce(read) if read == announcement));
    assert!(matches!(again(&Control::Goodbye("e".into())), Control::Goodbye(edge) if edge == "e"));
}

#[test]
fn requests_come_back_as_they_were_asked() {
    let list = Ask::List { user_id: Some("an".into()), room: None, after: Some("a".into()), limit: 50 };
    let Control::Request(read) = again(&request(list)) else { panic!("no request") };
    assert_eq!((read.edge.as_str(), read.id.as_str(), read.ask.kind()), ("e", "r", "list"));
    assert!(
        matches!(read.ask, Ask::List { user_id: Some(user), room: None, after: Some(_), limit: 50 } if user == "an")
    );
    let get = request(Ask::Get { client_id: "c".into() });
    assert_eq!(json_of(&get.encode()), json!({"kind": "get", "edge": "e", "requestId": "r", "clientId": "c"}));
    let disconnect = again(&request(Ask::Disconnect { client_id: "c".into() }));
    assert!(
        matches!(disconnect, Control::Request(Request { ask: Ask::Disconnect { client_id }, .. }) if client_id == "c")
    );
}

#[test]
fn data_is_sent_to_the_byte_and_null_is_not_absence() {
    for data in [Some("{\"a\" : 1.50}"), Some("null"), None] {
        let raw = data.map(|data| serde_json::from_str(data).unwrap());
        let send = ToClient { client_id: "c".into(), event: "x".into(), data: raw };
        let Control::Request(Request { ask: Ask::Send(read), .. }) = again(&request(Ask::Send(send))) else {
            panic!("no send")
        };
        assert_eq!(read.data.as_deref().map(serde_json::value::RawValue::get), data);
    }
}

#[test]
fn answers_come_back_as_they_were_given() {
    let client = Client {
        id: "c".into(),
        user_id: json!(7),
        rooms: vec!["lobby".into()],
        protocol: 1,
        connected_at: 1,
        last_activity: 2,
    };
    let page = Page { clients: vec![client.clone()], until: Some("c".into()) };
    for answer in [
        Answer::Page(page),
        Answer::Page(Page::default()),
        Answer::Client(client),
        Answer::Done,
        Answer::Absent,
        Answer::Busy,
    ] {
        let reply = Reply { edge: "e".into(), answer };
        assert_eq!(Reply::decode(&reply.encode()), Ok(Some(reply)));
    }
}

#[test]
fn what_a_later_version_says_is_passed_over() {
    assert!(matches!(Control::decode(br#"{"kind":"census","edge":7}"#), Ok(Control::Unknown)));
    assert_eq!(Reply::decode(br#"{"kind":"essay","edge":7}"#), Ok(None));
    let more = br#"{"kind":"goodbye","edge":"e","mood":["fine"]}"#;
    assert!(matches!(Control::decode(more), Ok(Control::Goodbye(edge)) if edge == "e"));
}

#[test]
fn what_is_no_message_is_refused() {
    for bad in [
        "",
        "null",
        "[]",
        r#"["hello","e"]"#,
        "{",
        "{}",
        r#"{"kind":7}"#,
        r#"{"kind":"hello"}"#,
        r#"{"kind":"hello","edge":7}"#,
        r#"{"kind":"announce","edge":"e","counts":{"users":-1}}"#,
        r#"{"kind":"goodbye"}"#,
        r#"{"kind":"get","edge":"e","requestId":"r"}"#,
        r#"{"kind":"get","edge":"e","clientId":"c"}"#,
        r#"{"kind":"get","requestId":"r","clientId":"c"}"#,
        r#"{"kind":"list","edge":"e","requestId":"r"}"#,
        r#"{"kind":"list","edge":"e","requestId":"r","limit":-1}"#,
        r#"{"kind":"send","edge":"e","requestId":"r","clientId":"c"}"#,
    ] {
        assert_eq!(Control::decode(bad.as_bytes()).err(), Some(Refusal::Malformed), "{bad}");
    }
    for bad in ["", "[]", r#"{"kind":"done"}"#, r#"{"kind":"page","edge":"e"}"#, r#"{"kind":"client","edge":"e"}"#] {
        assert_eq!(Reply::decode(bad.as_bytes()).err(), Some(Refusal::Malformed), "{bad}");
    }
    let data = to_raw_value(&"x".repeat(MAX_BYTES)).unwrap();
    let large = request(Ask::Send(ToClient { client_id: "c".into(), event: "x".into(), data: Some(data) }));
    assert_eq!(Control::decode(&large.encode()).err(), Some(Refusal::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = (Control::decode(&bytes), Reply::decode(&bytes));
    }
}
