//! Protocol v2: sealed binary frames in an order that nobody can alter, and an edge that can prove who it is.

use serde_json::{Value, json};
use signal_seal::{
    Side,
    agreement::{AwsLc, KeyAgreement, parse_public_key},
    derive::Transcript,
    identity::PublicIdentity,
    v2::{Cipher, sealed_len},
};
use signal_wire::{
    connected::{decode_exact, encode},
    envelope::Target,
};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use crate::fixture::{Heard, Socket, TestEdge, counted};

/// The identity of the vectors, which the environment carries with `\n` in the place of line breaks.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/v2.json")).unwrap()
}

fn identity_key() -> String {
    vectors()["identity"]["privateKeyPem"].as_str().unwrap().replace('\n', "\\n")
}

/// A client of v2.
struct Client {
    socket: Socket,
    cipher: Cipher,
    connected: Value,
    transcript: Transcript,
}

async fn connect(edge: &TestEdge, user: &str) -> Client {
    let mut socket = edge.open().await;
    let pair = AwsLc::generate().unwrap();
    let public_key = pair.public_key();
    let data = json!({
        "type": "Bearer", "token": edge.issuer.token(user), "publicKey": encode(&public_key), "protocol": 2,
    });
    socket.say(json!({ "event": "authenticate", "data": data }).to_string()).await;
    let message: Value = serde_json::from_str(&socket.hear_frame().await.unwrap()).unwrap();
    assert_eq!(message["event"], "connected", "{message}");
    let connected = message["data"].clone();
    let text = |name: &str| connected[name].as_str().unwrap();
    let server_key = parse_public_key(text("serverPublicKey")).unwrap();
    let salt = decode_exact(text("salt")).unwrap();
    let id: Uuid = text("id").parse().unwrap();
    let transcript = Transcript::new(&public_key, &server_key, &salt, id.as_bytes());
    let cipher = Cipher::new(&pair.agree(&server_key).unwrap(), &salt, &transcript, Side::Client);
    Client { socket, cipher, connected, transcript }
}

impl Client {
    fn seal(&mut self, message: &Value) -> Vec<u8> {
        let mut frame = Vec::new();
        self.cipher.sealer().seal(message.to_string().as_bytes(), &mut frame);
        frame
    }

    async fn send(&mut self, frame: &[u8]) {
        self.socket.send(Message::binary(frame.to_vec())).await;
    }

    async fn say(&mut self, message: &Value) {
        let frame = self.seal(message);
        self.send(&frame).await;
    }

    /// The next message, which must come as a sealed binary frame.
    async fn hear(&mut self) -> Value {
        match self.socket.hear_any().await {
            Heard::Binary(frame) => serde_json::from_slice(&self.cipher.open(&frame).unwrap()).unwrap(),
            other => panic!("heard {other:?}"),
        }
    }
}

fn heartbeat() -> Value {
    json!({ "event": "heartbeat" })
}

#[tokio::test]
async fn everything_after_connected_is_sealed_and_binary() {
    let edge = TestEdge::start(&[("SIGNAL_JOINABLE_ROOMS", "orders")]).await;
    let mut client = connect(&edge, "an").await;
    assert_eq!(client.connected["protocol"], 2);
    assert!(client.connected.get("signature").is_none(), "this edge has no identity");
    for number in 0..20 {
        edge.say(Target::User("an"), "number", json!(number)).await;
    }
    for number in 0..20 {
        assert_eq!(client.hear().await, json!({ "event": "number", "data": number }));
    }
    let refused = || counted("signal_edge_inbound_refused_total", &[("reason", "room_policy")]);
    let before = refused();
    client.say(&heartbeat()).await;
    client.say(&json!({ "event": "join", "data": { "rooms": ["orders", "secrets"] } })).await;
    // An error is sealed like everything else; and all that was said before it has been handled.
    client.say(&json!({ "event": "authenticate" })).await;
    assert_eq!(client.hear().await["data"]["message"], "Already authenticated");
    assert!(refused() > before);
    edge.say(Target::Room("orders"), "order", json!({ "a": 1.50 })).await;
    assert_eq!(client.hear().await["event"], "order");
}

#[tokio::test]
async fn the_frame_is_the_ciphertext_and_nothing_else() {
    let edge = TestEdge::start(&[]).await;
    let mut client = connect(&edge, "an").await;
    for bytes in [1, 100, 70_000] {
        let text = "x".repeat(bytes);
        edge.say(Target::User("an"), "e", json!(text)).await;
        let Heard::Binary(frame) = client.socket.hear_any().await else { panic!("no binary frame") };
        assert_eq!(frame.len(), sealed_len(json!({ "event": "e", "data": text }).to_string().len()));
        client.cipher.open(&frame).unwrap();
    }
}

#[tokio::test]
async fn versions_live_side_by_side_and_get_the_same() {
    let edge = TestEdge::start(&[]).await;
    let (mut new, mut old) = (connect(&edge, "an").await, edge.client("an").await);
    edge.say(Target::User("an"), "both", json!({ "n": 1 })).await;
    assert_eq!(new.hear().await, old.socket.hear().await);
    assert!(counted("signal_edge_connections", &[("protocol", "2")]) >= 1.0);
    assert!(counted("signal_edge_connections", &[("protocol", "1")]) >= 1.0);
}

#[tokio::test]
async fn whatever_is_not_the_next_frame_of_the_client_ends_the_session() {
    let edge = TestEdge::start(&[]).await;
    let violations = |reason| counted("signal_edge_inbound_refused_total", &[("reason", reason)]);
    for attack in
        ["replayed", "reordered", "dropped", "reflected", "truncated", "flipped", "empty", "v1 envelope", "text"]
    {
        let mut client = connect(&edge, "an").await;
        client.say(&heartbeat()).await;
        let mut bystander = connect(&edge, "binh").await;
        let reason = if matches!(attack, "text" | "v1 envelope") { "text_frame" } else { "frame_does_not_open" };
        let before = violations(reason);
        let (first, second) = (client.seal(&heartbeat()), client.seal(&heartbeat()));
        match attack {
            "replayed" => {
                client.send(&first).await;
                client.send(&first).await;
            }
            "reordered" => {
                client.send(&second).await;
                client.send(&first).await;
            }
            "dropped" => client.send(&second).await,
            "reflected" => {
                edge.say(Target::User("an"), "hello", json!(1)).await;
                let Heard::Binary(frame) = client.socket.hear_any().await else { panic!("no binary frame") };
                client.send(&frame).await;
            }
            "truncated" => client.send(&first[..first.len() - 1]).await,
            "flipped" => {
                let mut flipped = first.clone();
                flipped[0] ^= 1;
                client.send(&flipped).await;
            }
            "empty" => client.send(&[]).await,
            "v1 envelope" => {
                client.socket.say(r#"{"event":"encrypted","data":{"iv":"AAAAAAAAAAAAAAAA","ct":"AA=="}}"#).await;
            }
            "text" => client.socket.say(r#"{"event":"heartbeat"}"#).await,
            _ => unreachable!(),
        }
        assert_eq!(client.socket.closed().await, (4006, "Protocol violation".to_owned()), "{attack}");
        assert!(violations(reason) > before, "{attack} is counted");
        edge.say(Target::User("binh"), "undisturbed", json!(1)).await;
        assert_eq!(bystander.hear().await["event"], "undisturbed", "{attack}");
    }
}

#[tokio::test]
async fn malformed_content_in_a_good_frame_is_answered_and_ends_nothing() {
    let edge = TestEdge::start(&[]).await;
    let mut client = connect(&edge, "an").await;
    for content in ["null", "[]", "{", "\u{0}", r#"{"event":7}"#] {
        let mut frame = Vec::new();
        client.cipher.sealer().seal(content.as_bytes(), &mut frame);
        client.send(&frame).await;
        assert_eq!(client.hear().await["data"]["message"], "Invalid message format", "{content}");
    }
}

#[tokio::test]
async fn an_edge_with_an_identity_signs_what_both_have_seen() {
    let key = identity_key();
    let edge = TestEdge::start(&[("SIGNAL_IDENTITY_KEY", &key)]).await;
    let client = connect(&edge, "an").await;
    let vectors = vectors();
    let identity = PublicIdentity::read(&vectors["identity"]["jwk"].to_string()).unwrap().remove(0);
    assert_eq!(client.connected["keyId"], vectors["identity"]["keyId"]);
    let signature = decode_exact(client.connected["signature"].as_str().unwrap()).unwrap();
    identity.verify(&client.transcript, &signature).unwrap();
    let other = PublicIdentity::read(&vectors["anotherIdentity"]["jwk"].to_string()).unwrap().remove(0);
    assert!(other.verify(&client.transcript, &signature).is_err());
    // A client of v1 sees nothing of it.
    let mut old = edge.open().await;
    let connected = old.authenticate(&edge.issuer.token("an")).await;
    let names: Vec<_> = connected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "salt", "serverPublicKey", "time", "userId"]);
}

#[tokio::test]
async fn what_is_no_integer_of_at_least_two_asks_for_v1() {
    let edge = TestEdge::start(&[]).await;
    for protocol in [json!(1), json!("2"), json!(null), json!(2.5), json!([2])] {
        let mut socket = edge.open().await;
        let data = json!({ "token": edge.issuer.token("an"), "publicKey": socket.public_key(), "protocol": protocol });
        socket.say(json!({ "event": "authenticate", "data": data }).to_string()).await;
        assert!(socket.accept().await.get("protocol").is_none(), "{protocol}");
    }
    // A client of a version to come is answered with the best that this edge knows.
    let mut socket = edge.open().await;
    let data = json!({ "token": edge.issuer.token("an"), "publicKey": socket.public_key(), "protocol": 3 });
    socket.say(json!({ "event": "authenticate", "data": data }).to_string()).await;
    let connected: Value = serde_json::from_str(&socket.hear_frame().await.unwrap()).unwrap();
    assert_eq!(connected["data"]["protocol"], 2);
}
