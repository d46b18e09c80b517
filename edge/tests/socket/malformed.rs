//! What clients should not say.

use serde_json::json;
use signal_seal::{
    agreement::{KeyAgreement, Portable},
    derive::session_key_v1,
    v1::{Cipher, Side},
};
use signal_wire::envelope::Target;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::fixture::{TestEdge, counted};

/// Texts that are no messages, or messages that ask for nothing; each with the error that answers it.
fn texts() -> Vec<(String, Option<&'static str>)> {
    const INVALID: Option<&str> = Some("Invalid message format");
    const SEALED: Option<&str> = Some("Decryption failed");
    let mut texts: Vec<(String, Option<&str>)> = [
        ("", INVALID),
        (" ", INVALID),
        ("null", INVALID),
        ("true", INVALID),
        ("7", INVALID),
        ("\"text\"", INVALID),
        ("[]", INVALID),
        ("[{\"event\":\"join\"}]", INVALID),
        ("{", INVALID),
        ("}", INVALID),
        ("{}{}", INVALID),
        ("{\"event\"}", INVALID),
        ("{\"event\":}", INVALID),
        ("{'event':'join'}", INVALID),
        ("{\"event\":7}", INVALID),
        ("{\"event\":null}", INVALID),
        ("{\"event\":[\"join\"]}", INVALID),
        ("{\"event\":\"\\ud800\"}", INVALID),
        ("{\"event\":\"a\",\"data\":01}", INVALID),
        ("{\"event\":\"a\"} x", INVALID),
        ("\u{0}", INVALID),
        ("{}", None),
        ("{\"event\":\"\"}", None),
        ("{\"data\":{}}", None),
        ("{\"event\":\"made up\",\"data\":1e999}", None),
        ("{\"event\":\"join\"}", None),
        ("{\"event\":\"join\",\"data\":null}", None),
        ("{\"event\":\"join\",\"data\":[]}", None),
        ("{\"event\":\"join\",\"data\":{\"rooms\":\"a\"}}", None),
        ("{\"event\":\"join\",\"data\":{\"rooms\":[1]}}", None),
        ("{\"event\":\"leave\",\"data\":{\"rooms\":{}}}", None),
        ("{\"event\":\"leave\",\"data\":{\"rooms\":[null]}}", None),
        ("{\"event\":\"encrypted\"}", SEALED),
        ("{\"event\":\"encrypted\",\"data\":null}", SEALED),
        ("{\"event\":\"encrypted\",\"data\":{}}", SEALED),
        ("{\"event\":\"encrypted\",\"data\":{\"iv\":\"\",\"ct\":\"\"}}", SEALED),
        ("{\"event\":\"encrypted\",\"data\":{\"iv\":\"AAAAAAAAAAAAAAAA\",\"ct\":\"AAA\"}}", SEALED),
        (
            "{\"event\":\"encrypted\",\"data\":{\"iv\":\"AAAAAAAAAAAAAAAA\",\"ct\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
            SEALED,
        ),
        ("{\"event\":\"encrypted\",\"data\":{\"iv\":7,\"ct\":8}}", SEALED),
    ]
    .into_iter()
    .map(|(text, error)| (text.to_owned(), error))
    .collect();
    texts.push((format!("{{\"event\":\"x\",\"data\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000)), None));
    texts.push((format!("{{\"event\":{}", "[".repeat(100_000)), INVALID));
    texts.push((format!("{{\"event\":\"x\",\"data\":{}}}", "9".repeat(100_000)), None));
    texts
}

#[tokio::test]
async fn malformed_messages_are_answered_or_passed_over_and_disturb_nobody() {
    let edge = TestEdge::start(&[]).await;
    let (mut client, mut neighbour) = (edge.client("an").await, edge.client("binh").await);
    let texts = texts();
    assert!(texts.len() >= 30);
    let before = counted("signal_edge_inbound_refused_total", &[]);
    let mut refused = 0.0;
    for (text, error) in &texts {
        client.socket.say(text.clone()).await;
        if let Some(error) = error {
            refused += 1.0;
            assert_eq!(client.socket.hear_error().await, *error, "{}", &text[..text.len().min(80)]);
        }
    }
    client.socket.settle().await;
    assert!(counted("signal_edge_inbound_refused_total", &[]) >= before + refused);
    edge.say(Target::Broadcast, "good", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "good");
    assert_eq!(neighbour.socket.hear().await["event"], "good");
}

#[tokio::test]
async fn an_envelope_sealed_with_another_key_or_altered_does_not_open_and_does_not_close() {
    let edge = TestEdge::start(&[]).await;
    let mut client = edge.client("an").await;
    let secret = Portable::generate().unwrap().agree(&Portable::generate().unwrap().public_key()).unwrap();
    let mut stranger = Cipher::new(session_key_v1(&secret, &[0; 32]), Side::Client, [0; 4]);
    let mut frame = Vec::new();
    stranger.sealer().seal(br#"{"event":"heartbeat"}"#, &mut Vec::new(), &mut frame);
    client.socket.say(String::from_utf8(frame).unwrap()).await;
    assert_eq!(client.socket.hear_error().await, "Decryption failed");

    let mut frame = Vec::new();
    let own = client.socket.cipher.as_mut().unwrap();
    own.sealer().seal(br#"{"event":"made up"}"#, &mut Vec::new(), &mut frame);
    let text = String::from_utf8(frame).unwrap();
    let altered = text.replacen("\"ct\":\"", "\"ct\":\"A", 1);
    client.socket.say(altered).await;
    assert_eq!(client.socket.hear_error().await, "Decryption failed");
    client.socket.say(text).await;
    client.socket.settle().await;
}

#[tokio::test]
async fn sealed_content_is_handled_as_if_it_had_come_in_plaintext() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "lobby")]).await;
    let mut client = edge.client("an").await;
    client.socket.say_sealed(&json!({"event": "join", "data": {"rooms": ["lobby"]}})).await;
    client.socket.say_sealed(&json!(null)).await;
    assert_eq!(client.socket.hear_error().await, "Invalid message format");
    edge.say(Target::Room("lobby"), "hello", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "hello");
    // An envelope in an envelope is an event that means nothing.
    client.socket.say_sealed(&json!({"event": "encrypted", "data": {"iv": "a", "ct": "b"}})).await;
    client.socket.settle().await;
}

#[tokio::test]
async fn binary_frames_are_read_as_text() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "lobby")]).await;
    let mut client = edge.client("an").await;
    client.socket.send(Message::binary(&br#"{"event":"join","data":{"rooms":["lobby"]}}"#[..])).await;
    client.socket.send(Message::binary(&b"\xff\xfe"[..])).await;
    assert_eq!(client.socket.hear_error().await, "Invalid message format");
    edge.say(Target::Room("lobby"), "hello", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "hello");
}

#[tokio::test]
async fn only_heartbeats_are_taken_in_plaintext_where_that_is_the_policy() {
    let variables = &[("SIGNAL_PLAINTEXT_INBOUND", "heartbeat-only"), ("SIGNAL_JOINABLE_ROOMS", "plain,sealed")];
    let edge = TestEdge::start(variables).await;
    let mut client = edge.client("an").await;
    let before = counted("signal_edge_inbound_refused_total", &[("reason", "plaintext")]);
    client.socket.say(r#"{"event":"heartbeat"}"#).await;
    client.socket.say(r#"{"event":"join","data":{"rooms":["plain"]}}"#).await;
    client.socket.say_sealed(&json!({"event": "join", "data": {"rooms": ["sealed"]}})).await;
    client.socket.settle().await;
    assert!(counted("signal_edge_inbound_refused_total", &[("reason", "plaintext")]) > before);
    edge.say(Target::Room("plain"), "plain", json!(1)).await;
    edge.say(Target::Room("sealed"), "sealed", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "sealed");
}

#[tokio::test]
async fn a_frame_above_128_kib_closes_with_1009_before_and_after_connected() {
    let edge = TestEdge::start(&[]).await;
    let largest = format!(r#"{{"event":"x","data":"{}"}}"#, "x".repeat(128 * 1024 - 22));
    assert_eq!(largest.len(), 128 * 1024 + 1);
    let mut client = edge.client("an").await;
    client.socket.say(largest[1..].to_owned()).await;
    assert_eq!(client.socket.hear_error().await, "Invalid message format");
    client.socket.say(largest.clone()).await;
    assert_eq!(client.socket.closed().await, (1009, "Frame too large".into()));

    let mut stranger = edge.open().await;
    stranger.say(largest).await;
    assert_eq!(stranger.closed().await.0, 1009);

    let mut fragmented = edge.open().await;
    for first in [true, false, false] {
        let opcode = OpCode::Data(if first { Data::Text } else { Data::Continue });
        fragmented.send(Message::Frame(Frame::message(vec![b'x'; 60_000], opcode, false))).await;
    }
    assert_eq!(fragmented.closed().await.0, 1009);
}

#[tokio::test]
async fn text_that_is_not_utf8_and_broken_framing_close() {
    let edge = TestEdge::start(&[]).await;
    let text = OpCode::Data(Data::Text);
    let mut client = edge.client("an").await.socket;
    client.send(Message::Frame(Frame::message(vec![b'"', 0xff, b'"'], text, true))).await;
    assert_eq!(client.closed().await.0, 1007);

    let mut client = edge.client("an").await.socket;
    client.send(Message::Frame(Frame::message(Vec::new(), OpCode::Data(Data::Continue), true))).await;
    assert_eq!(client.closed().await.0, 1002);

    let mut client = edge.client("an").await.socket;
    client.send(Message::Frame(Frame::message(Vec::new(), OpCode::Data(Data::Reserved(3)), true))).await;
    assert_eq!(client.closed().await.0, 1002);
}
