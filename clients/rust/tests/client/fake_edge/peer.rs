//! The edge's end of a session, in either version.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signal_seal::{
    DoesNotOpen, Side,
    agreement::{KeyAgreement, Portable, parse_public_key},
    derive::{Transcript, session_key_v1},
    identity::IdentityKey,
    v1, v2,
};
use signal_wire::{connected::encode, frame::ClientFrame, sealed::Sealed};
use tokio::io::DuplexStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message as RawFrame};

use super::{CLIENT_ID, close, soon};

const SALT: [u8; 32] = [7; 32];

pub(crate) enum Cipher {
    V1(v1::Cipher),
    V2(v2::Cipher),
}

/// `connected.data`, and what follows from it. v2 is what is spoken from 2 on.
pub(super) fn agree(client_key: &str, protocol: Option<u64>, identity: Option<&IdentityKey>) -> (Value, Cipher) {
    let pair = Portable::generate().unwrap();
    let own_key = pair.public_key();
    let client_key = parse_public_key(client_key).unwrap();
    let secret = pair.agree(&client_key).unwrap();
    let mut offer = json!({
        "id": CLIENT_ID, "userId": 42, "time": "2026-11-23T08:51:04.867Z",
        "serverPublicKey": encode(&own_key), "salt": encode(&SALT) });
    if protocol.is_none_or(|protocol| protocol < 2) {
        return (offer, Cipher::V1(v1::Cipher::new(session_key_v1(&secret, &SALT), Side::Edge, [1; 4])));
    }
    offer["protocol"] = json!(2);
    let id = u128::from_str_radix(&CLIENT_ID.replace('-', ""), 16).unwrap();
    let transcript = Transcript::new(&client_key, &own_key, &SALT, &id.to_be_bytes());
    if let Some(identity) = identity {
        offer["keyId"] = json!(identity.key_id());
        offer["signature"] = json!(encode(&identity.sign(&transcript).unwrap()));
    }
    (offer, Cipher::V2(v2::Cipher::new(&secret, &SALT, &transcript, Side::Edge)))
}

pub(crate) struct Peer {
    pub(super) cipher: Cipher,
    pub(crate) socket: WebSocketStream<DuplexStream>,
}

impl Peer {
    pub(crate) fn seal(&mut self, plaintext: &str) -> RawFrame {
        let mut sealed = Vec::new();
        match &mut self.cipher {
            Cipher::V1(cipher) => {
                cipher.sealer().seal(plaintext.as_bytes(), &mut Vec::new(), &mut sealed);
                RawFrame::text(String::from_utf8(sealed).unwrap())
            }
            Cipher::V2(cipher) => {
                cipher.sealer().seal(plaintext.as_bytes(), &mut sealed);
                RawFrame::binary(sealed)
            }
        }
    }

    pub(crate) async fn push(&mut self, event: &str, data: Value) {
        self.push_text(&json!({ "event": event, "data": data }).to_string()).await;
    }

    pub(crate) async fn push_text(&mut self, plaintext: &str) {
        let sealed = self.seal(plaintext);
        self.say_raw(sealed).await;
    }

    pub(crate) async fn say_raw(&mut self, frame: RawFrame) {
        soon(self.socket.send(frame)).await.unwrap();
    }

    /// The next frame of the client, pings among them. `None` once it is gone.
    pub(crate) async fn hear_raw(&mut self) -> Option<RawFrame> {
        soon(self.socket.next()).await.and_then(Result::ok)
    }

    /// The next message of the client, which must be sealed.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.hear_raw().await.expect("the client stays") {
                RawFrame::Ping(_) => {}
                frame => {
                    let plaintext = self.open(&frame).unwrap_or_else(|_| panic!("sealed and due: {frame:?}"));
                    return serde_json::from_slice(&plaintext).unwrap();
                }
            }
        }
    }

    /// Opens a frame as an edge would.
    pub(crate) fn open(&mut self, frame: &RawFrame) -> Result<Vec<u8>, DoesNotOpen> {
        match (&mut self.cipher, frame) {
            (Cipher::V1(cipher), RawFrame::Text(text)) => open_v1(cipher, text),
            (Cipher::V2(cipher), RawFrame::Binary(frame)) => cipher.open(frame),
            _ => Err(DoesNotOpen),
        }
    }

    pub(crate) async fn close(mut self, code: u16) {
        close(&mut self.socket, code, "").await;
    }

    /// The code with which the client closes, after whatever else it has said.
    pub(crate) async fn expect_close(&mut self) -> Option<u16> {
        loop {
            if let RawFrame::Close(frame) = self.hear_raw().await? {
                return frame.map(|frame| frame.code.into());
            }
        }
    }
}

fn open_v1(cipher: &v1::Cipher, text: &str) -> Result<Vec<u8>, DoesNotOpen> {
    let frame = ClientFrame::parse(text.as_bytes()).unwrap();
    assert_eq!(frame.event, "encrypted", "everything after `connected` is sealed");
    let sealed = Sealed::parse(frame.data.unwrap().get()).unwrap();
    let iv: [u8; 12] = signal_wire::connected::decode_exact(&sealed.iv).unwrap();
    assert!(iv[0] >= 0x80, "the other half of the IVs is the edge's");
    cipher.open(&sealed)
}
