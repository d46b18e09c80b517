//! Pinned identities, and a man in the middle.

mod middle;

use rcgen::KeyPair;
use serde_json::{Value, json};
use signal_client::{ConfigError, Disconnect, Endpoint, Events, Protocol, session::IdentityError, session::OpenError};
use signal_seal::identity::{IdentityKey, JwkError};

use self::middle::Middle;
use crate::fake_edge::{FakeEdge, Peer, builder, expect_connected, expect_disconnected, expect_message};

fn new_key() -> IdentityKey {
    let body = signal_wire::connected::encode(&KeyPair::generate().unwrap().serialize_der());
    IdentityKey::from_pem(&format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")).unwrap()
}

fn pin(key: &IdentityKey) -> String {
    key.jwk_set().to_string()
}

fn impostor(cause: &Disconnect) -> &IdentityError {
    match cause {
        Disconnect::Open(OpenError::Identity(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Nothing but `authenticate` was heard from the client: it is gone without another word.
async fn assert_silent(peer: &mut Peer) {
    assert_eq!(peer.hear_raw().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_signs_with_a_pinned_key_is_talked_to() {
    let (key, other) = (new_key(), new_key());
    let one: Value = key.jwk_set()["keys"][0].clone();
    let both = json!({ "keys": [other.jwk_set()["keys"][0], one] });
    for pins in [vec![pin(&key)], vec![one.to_string()], vec![both.to_string()], vec![pin(&other), pin(&key)]] {
        let (mut edge, pipe) = FakeEdge::new();
        let (client, mut events) = pins.iter().fold(builder(pipe), |builder, pin| builder.pin(pin)).connect().unwrap();
        let mut peer = edge.accept().await.authenticate().await.admit_signed(Some(&key)).await;
        let hello = expect_connected(&mut events).await;
        assert_eq!(hello.identity.as_deref(), Some(key.key_id()));
        assert_eq!(hello.protocol, Protocol::V2);
        client.send("hello", &1).unwrap();
        assert_eq!(peer.hear().await["event"], "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn who_pins_nothing_looks_at_no_signature() {
    let (mut edge, pipe) = FakeEdge::new();
    let (_client, mut events) = builder(pipe).connect().unwrap();
    let _peer = edge.accept().await.authenticate().await.admit_signed(Some(&new_key())).await;
    assert_eq!(expect_connected(&mut events).await.identity, None);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_proves_nothing_is_told_nothing() {
    let (key, other) = (new_key(), new_key());
    let (mut edge, pipe) = FakeEdge::new();
    let (client, mut events) = builder(pipe).rooms(["secret"]).pin(&pin(&key)).connect().unwrap();

    let mut refused = async |expected: IdentityError, mut peer: Peer| {
        let (cause, retry_in) = expect_disconnected(&mut events).await;
        assert_eq!(impostor(&cause), &expected);
        assert!(retry_in.as_secs() <= 8, "tried again with backoff");
        assert_silent(&mut peer).await;
    };
    let mut applicant = async || edge.accept().await.authenticate().await;

    refused(IdentityError::Downgraded, applicant().await.admit_v1().await).await;
    refused(IdentityError::Unsigned, applicant().await.admit().await).await;
    let unknown = applicant().await.admit_signed(Some(&other)).await;
    refused(IdentityError::UnknownKey(other.key_id().to_owned()), unknown).await;

    type Alter = fn(&mut Value);
    let alterations: [(Alter, IdentityError); 6] = [
        (|offer| drop(offer.as_object_mut().unwrap().remove("signature")), IdentityError::Unsigned),
        (|offer| drop(offer.as_object_mut().unwrap().remove("keyId")), IdentityError::Unsigned),
        (|offer| offer["signature"] = json!("AAAA"), IdentityError::Forged),
        (|offer| offer["signature"] = json!(signal_wire::connected::encode(&[1; 64])), IdentityError::Forged),
        // Each is under the signature.
        (|offer| offer["id"] = json!("0f0e0d0c-0b0a-4908-8706-050403020101"), IdentityError::Forged),
        (|offer| offer["salt"] = json!(signal_wire::connected::encode(&[8; 32])), IdentityError::Forged),
    ];
    for (alter, expected) in alterations {
        refused(expected, applicant().await.answer(Some(&key), alter).await).await;
    }
    // A name without end is not repeated to the end.
    let long = applicant().await.answer(Some(&key), |offer| offer["keyId"] = json!("k".repeat(10_000))).await;
    refused(IdentityError::UnknownKey("k".repeat(64)), long).await;

    // None of this is final.
    let mut peer = applicant().await.admit_signed(Some(&key)).await;
    expect_connected(&mut events).await;
    client.send("hello", &1).unwrap();
    assert_eq!(peer.hear().await["event"], "join");
    assert_eq!(peer.hear().await["event"], "hello");
}

#[test]
fn pins_that_cannot_be_met_are_refused_at_once() {
    let refusal = |pin: &str| Endpoint::new("ws://h/stream").unwrap().pin(pin).unwrap_err();
    assert_eq!(refusal("nonsense"), ConfigError::Pin(JwkError::Malformed));
    assert_eq!(refusal(r#"{"keys":[]}"#), ConfigError::Pin(JwkError::NoKey));
    let token = || async { Ok::<_, std::io::Error>(String::new()) };
    let builder = || signal_client::Client::builder("ws://h/stream").token(token);
    assert_eq!(builder().pin("nonsense").connect().unwrap_err(), ConfigError::Pin(JwkError::Malformed));
    let never = builder().protocol(Protocol::V1).pin(&pin(&new_key()));
    assert_eq!(never.connect().unwrap_err(), ConfigError::PinNeedsV2);
}

/// An edge with an identity, and somebody who stands between it and the client.
struct Scene {
    key: IdentityKey,
    edge: FakeEdge,
    middle: Middle,
    events: Events,
    client: signal_client::Client,
}

fn scene(pinning: bool) -> Scene {
    let key = new_key();
    let (edge, way) = FakeEdge::new();
    let (front, pipe) = FakeEdge::new();
    let builder = if pinning { builder(pipe).pin(&pin(&key)) } else { builder(pipe) };
    let (client, events) = builder.connect().unwrap();
    Scene { key, edge, middle: Middle::new(front, way), events, client }
}

#[tokio::test(start_paused = true)]
async fn a_man_in_the_middle_reads_everything_of_a_client_that_pins_nothing() {
    let Scene { key, mut edge, mut middle, mut events, client } = scene(false);
    let edge = async { edge.accept().await.authenticate().await.admit_signed(Some(&key)).await };
    let (mut eavesdropper, mut peer) = tokio::join!(middle.swap_keys(), edge);
    assert_eq!(expect_connected(&mut events).await.protocol, Protocol::V2);

    client.send("secret of the client", &1).unwrap();
    assert_eq!(eavesdropper.relay_to_edge().await["event"], "secret of the client");
    assert_eq!(peer.hear().await["event"], "secret of the client");
    peer.push("secret of the edge", json!(2)).await;
    assert_eq!(eavesdropper.relay_to_client().await["event"], "secret of the edge");
    assert_eq!(expect_message(&mut events).await.0, "secret of the edge");
}

#[tokio::test(start_paused = true)]
async fn a_man_in_the_middle_is_caught_by_a_client_that_pins() {
    let Scene { key, mut edge, mut middle, mut events, client } = scene(true);
    let mut admit = async || edge.accept().await.authenticate().await.admit_signed(Some(&key)).await;
    let (mut eavesdropper, mut peer) = tokio::join!(middle.swap_keys(), admit());
    let (cause, _) = expect_disconnected(&mut events).await;
    assert_eq!(impostor(&cause), &IdentityError::Forged);
    assert!(client.send("secret of the client", &1).is_err());
    assert_eq!(eavesdropper.hear_client().await, None);
    drop(eavesdropper);
    assert_eq!(peer.hear_raw().await, None);

    // The way is tried again, and is good once nobody is in it.
    let (_gateway, _peer) = tokio::join!(middle.hand_on(), admit());
    expect_connected(&mut events).await;
}

/// The same middle hands on what it is given, to show that it is the swap that is caught.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_swaps_no_keys_is_nobody_in_the_middle() {
    let Scene { key, mut edge, mut middle, mut events, client } = scene(true);
    let edge = async { edge.accept().await.authenticate().await.admit_signed(Some(&key)).await };
    let (mut gateway, mut peer) = tokio::join!(middle.hand_on(), edge);
    assert_eq!(expect_connected(&mut events).await.identity.as_deref(), Some(key.key_id()));
    client.send("hello", &1).unwrap();
    gateway.hand_on_to_edge().await;
    assert_eq!(peer.hear().await["event"], "hello");
}
