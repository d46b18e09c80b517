//! Both key agreements and the v1 cipher held against bytes that the software Signal is compatible with produced.

mod v2;

use serde_json::Value;
use signal_wire::connected::{SALT_BYTES, decode_exact, encode};

use crate::{
    agreement::{InvalidPublicKey, KeyAgreement, Portable, parse_public_key},
    derive::{SessionKey, session_key_v1},
    v1::{
        Cipher, Side,
        tests::{open, seal_at},
    },
};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/ignis.json")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn private_key<A: KeyAgreement>(hex: &str) -> A {
    A::from_private_key(&bytes(hex)).unwrap()
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

fn reproduces_the_recorded_handshakes<A: KeyAgreement>() {
    let vectors = vectors();
    let handshakes = vectors["handshake"].as_array().unwrap();
    assert_eq!(handshakes.len(), 4);
    for handshake in handshakes {
        let (server, client): (A, A) =
            (private_key(text(handshake, "serverPrivateKeyHex")), private_key(text(handshake, "clientPrivateKeyHex")));
        assert_eq!(encode(&server.public_key()), text(handshake, "serverPublicKey"));
        assert_eq!(encode(&client.public_key()), text(handshake, "clientPublicKey"));

        let salt: [u8; SALT_BYTES] = decode_exact(text(handshake, "salt")).unwrap();
        let key = |side: A, peer: &str| -> SessionKey {
            session_key_v1(&side.agree(&parse_public_key(text(handshake, peer)).unwrap()).unwrap(), &salt)
        };
        let (edge_key, client_key) = (key(server, "clientPublicKey"), key(client, "serverPublicKey"));
        assert_eq!(edge_key.0, client_key.0);

        let messages = handshake["messages"].as_array().unwrap();
        assert!(!messages.is_empty());
        for message in messages {
            let (iv, ct) = (text(message, "iv"), text(message, "ct"));
            let recorded = format!(r#"{{"event":"encrypted","data":{{"iv":"{iv}","ct":"{ct}"}}}}"#);
            let plaintext = text(message, "plaintext").as_bytes();
            assert_eq!(seal_at(&edge_key, decode_exact(iv).unwrap(), plaintext), recorded.as_bytes());
            let client = Cipher::new(SessionKey(client_key.0), Side::Client, [0; 4]);
            assert_eq!(open(&client, recorded.as_bytes()).unwrap(), plaintext);
        }
    }
}

fn refuses_bad_points<A: KeyAgreement>() {
    for vector in vectors()["rejectedPublicKeys"].as_array().unwrap() {
        let key = parse_public_key(text(vector, "publicKey"));
        assert!(key.and_then(|key| A::generate().unwrap().agree(&key)).is_err(), "{vector}");
    }
    let point = A::generate().unwrap().public_key();
    for first in [0, 2, 3, 5, 6, 7] {
        let mut other_form = point;
        other_form[0] = first;
        assert_eq!(A::generate().unwrap().agree(&other_form).err(), Some(InvalidPublicKey));
        assert_eq!(parse_public_key(&encode(&other_form)), Err(InvalidPublicKey));
    }
    let mut off_curve = point;
    off_curve[64] ^= 1;
    assert_eq!(A::generate().unwrap().agree(&off_curve).err(), Some(InvalidPublicKey));
    assert!(A::from_private_key(&[0; 32]).is_none());
    assert!(A::from_private_key(&[0xff; 32]).is_none());
}

fn key_pairs_are_fresh<A: KeyAgreement>() {
    assert_ne!(A::generate().unwrap().public_key(), A::generate().unwrap().public_key());
}

#[test]
fn portable() {
    reproduces_the_recorded_handshakes::<Portable>();
    refuses_bad_points::<Portable>();
    key_pairs_are_fresh::<Portable>();
}

#[cfg(feature = "aws-lc")]
#[test]
fn aws_lc() {
    use crate::agreement::AwsLc;
    reproduces_the_recorded_handshakes::<AwsLc>();
    refuses_bad_points::<AwsLc>();
    key_pairs_are_fresh::<AwsLc>();
}

#[cfg(feature = "aws-lc")]
#[test]
fn both_agree_with_each_other() {
    use crate::agreement::AwsLc;
    let (one, other) = (Portable::generate().unwrap(), AwsLc::generate().unwrap());
    let (one_point, other_point) = (one.public_key(), other.public_key());
    let (mine, theirs) = (one.agree(&other_point).unwrap(), other.agree(&one_point).unwrap());
    assert_eq!(mine.0, theirs.0);
}
