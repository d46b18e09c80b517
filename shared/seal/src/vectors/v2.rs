//! Protocol v2 held against bytes that another implementation made.

use serde_json::Value;
use signal_wire::connected::{SALT_BYTES, SIGNATURE_BYTES, decode_exact, encode};

use super::{bytes, private_key, text};
#[cfg(feature = "aws-lc")]
use crate::agreement::AwsLc;
use crate::{
    agreement::{KeyAgreement, Portable, SharedSecret, parse_public_key},
    derive::{DirectionKeys, SessionKey, Transcript},
    identity::{NotSigned, PublicIdentity},
    v2::{
        Cipher, DoesNotOpen, Side,
        tests::{opening_at, sealing_at},
    },
};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/v2.json")).unwrap()
}

fn handshakes() -> Vec<Value> {
    let handshakes = vectors()["handshakes"].as_array().unwrap().clone();
    assert_eq!(handshakes.len(), 3);
    handshakes
}

fn transcript(handshake: &Value) -> Transcript {
    let key = |name| parse_public_key(text(handshake, name)).unwrap();
    let id = text(handshake, "clientId").replace('-', "");
    Transcript::new(&key("clientPublicKey"), &key("serverPublicKey"), &salt(handshake), &bytes(&id))
}

fn salt(handshake: &Value) -> [u8; SALT_BYTES] {
    decode_exact(text(handshake, "salt")).unwrap()
}

fn secret<A: KeyAgreement>(handshake: &Value, mine: &str, theirs: &str) -> SharedSecret {
    let pair: A = private_key(text(handshake, mine));
    pair.agree(&parse_public_key(text(handshake, theirs)).unwrap()).unwrap()
}

fn reproduces_the_recorded_handshakes<A: KeyAgreement>() {
    for handshake in &handshakes() {
        let transcript = transcript(handshake);
        assert_eq!(transcript.as_bytes(), &bytes(text(handshake, "transcriptHex")));
        let secrets = [
            secret::<A>(handshake, "clientPrivateKeyHex", "serverPublicKey"),
            secret::<A>(handshake, "serverPrivateKeyHex", "clientPublicKey"),
        ];
        for secret in secrets {
            let keys = DirectionKeys::new(&secret, &salt(handshake), &transcript);
            assert_eq!(keys.client_to_server.0, bytes(text(handshake, "clientToServerKeyHex")));
            assert_eq!(keys.server_to_client.0, bytes(text(handshake, "serverToClientKeyHex")));
            seals_and_opens_the_recorded_frames(&keys, handshake);
            the_ends_take_their_directions(&secret, &transcript, handshake);
        }
    }
}

fn frames<'a>(handshake: &'a Value, direction: &'a str) -> impl Iterator<Item = (u64, &'a str, &'a str)> {
    let frames = handshake["frames"].as_array().unwrap().iter();
    frames
        .filter(move |frame| frame["direction"] == direction)
        .map(|frame| (frame["counter"].as_u64().unwrap(), text(frame, "plaintext"), text(frame, "frame")))
}

fn seals_and_opens_the_recorded_frames(keys: &DirectionKeys, handshake: &Value) {
    let mut seen = 0;
    for (direction, key) in [("client->server", &keys.client_to_server), ("server->client", &keys.server_to_client)] {
        for (counter, plaintext, frame) in frames(handshake, direction) {
            let mut sealed = Vec::new();
            sealing_at(SessionKey(key.0), counter).sealer().seal(plaintext.as_bytes(), &mut sealed);
            assert_eq!(encode(&sealed), frame);
            assert_eq!(opening_at(SessionKey(key.0), counter).open(&sealed).unwrap(), plaintext.as_bytes());
            assert_eq!(opening_at(SessionKey(key.0), counter + 1).open(&sealed), Err(DoesNotOpen));
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

fn the_ends_take_their_directions(secret: &SharedSecret, transcript: &Transcript, handshake: &Value) {
    for (side, other, direction) in
        [(Side::Client, Side::Edge, "client->server"), (Side::Edge, Side::Client, "server->client")]
    {
        let end = |side| Cipher::new(secret, &salt(handshake), transcript, side);
        let (mut sealing, mut opening) = (end(side), end(other));
        for (_, plaintext, frame) in frames(handshake, direction).take(3) {
            let mut sealed = Vec::new();
            sealing.sealer().seal(plaintext.as_bytes(), &mut sealed);
            assert_eq!(encode(&sealed), frame);
            assert_eq!(opening.open(&sealed).unwrap(), plaintext.as_bytes());
        }
    }
}

#[test]
fn portable() {
    reproduces_the_recorded_handshakes::<Portable>();
}

#[cfg(feature = "aws-lc")]
#[test]
fn aws_lc() {
    reproduces_the_recorded_handshakes::<AwsLc>();
}

#[test]
fn recorded_signatures_hold_for_their_key_and_transcript_alone() {
    let vectors = vectors();
    let identity = |name: &str| PublicIdentity::read(&vectors[name]["jwk"].to_string()).unwrap().remove(0);
    let (signer, other) = (identity("identity"), identity("anotherIdentity"));
    assert_eq!(signer.key_id(), text(&vectors["identity"], "keyId"));
    assert_eq!(other.key_id(), text(&vectors["anotherIdentity"], "keyId"));
    let handshakes = handshakes();
    for (at, handshake) in handshakes.iter().enumerate() {
        let signature = decode_exact::<SIGNATURE_BYTES>(text(handshake, "signature")).unwrap();
        assert_eq!(signer.verify(&transcript(handshake), &signature), Ok(()));
        assert_eq!(other.verify(&transcript(handshake), &signature), Err(NotSigned));
        let another = &handshakes[(at + 1) % handshakes.len()];
        assert_eq!(signer.verify(&transcript(another), &signature), Err(NotSigned));
    }
}
