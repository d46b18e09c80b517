//! A client that keeps every frame that it got: what an SDK would tidy up is what tests count.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde_json::{Value, json};
use signal_harness::eventually;
use signal_seal::{
    agreement::{KeyAgreement, Portable, parse_public_key},
    derive::session_key_v1,
    v1::{Cipher, Side},
};
use signal_wire::{connected::decode_exact, message::event, sealed::Sealed};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::platform::SOON;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket with nothing done on it yet.
pub struct Raw {
    socket: Socket,
}

impl Raw {
    pub async fn connect(edge: SocketAddr) -> Raw {
        let (socket, _response) = connect_async(format!("ws://{edge}/stream")).await.unwrap();
        Raw { socket }
    }

    pub async fn send(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    pub async fn send_json(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// The next frame; `None` once the edge has closed.
    pub async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(SOON, self.socket.next()).await;
        next.expect("the edge says something within the deadline").and_then(Result::ok)
    }

    pub async fn next_json(&mut self) -> Value {
        let frame = self.next().await.expect("the edge does not close");
        serde_json::from_str(frame.to_text().unwrap()).unwrap()
    }
}

/// An authenticated client.
pub struct Window {
    id: String,
    user: String,
    received: Arc<Mutex<Received>>,
    outgoing: tokio::sync::Mutex<SplitSink<Socket, Message>>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Received {
    /// The decrypted messages, as text, in order.
    messages: Vec<String>,
    /// Frames that were not sealed, of which there must be none after `connected`.
    plain: Vec<String>,
    closed: Option<u16>,
}

impl Window {
    pub async fn open(edge: SocketAddr, token: &str) -> Window {
        let mut raw = Raw::connect(edge).await;
        let pair = Portable::generate().unwrap();
        let public_key = STANDARD.encode(pair.public_key());
        let credentials = json!({ "type": "Bearer", "token": token, "publicKey": public_key });
        raw.send_json(&json!({ "event": event::AUTHENTICATE, "data": credentials })).await;

        let answer = raw.next_json().await;
        assert_eq!(answer["event"], event::CONNECTED, "{answer}");
        let text = |name: &str| answer["data"][name].as_str().unwrap();
        let server_key = parse_public_key(text("serverPublicKey")).unwrap();
        let salt = decode_exact(text("salt")).unwrap();
        let key = session_key_v1(&pair.agree(&server_key).unwrap(), &salt);

        let (outgoing, incoming) = raw.socket.split();
        let received = Arc::new(Mutex::new(Received::default()));
        let cipher = Cipher::new(key, Side::Client, [0; 4]);
        Window {
            id: text("id").to_owned(),
            user: text("userId").to_owned(),
            reader: tokio::spawn(read(incoming, cipher, Arc::clone(&received))),
            received,
            outgoing: tokio::sync::Mutex::new(outgoing),
        }
    }

    /// The client id that the edge gave.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    pub async fn send(&self, event: &str, data: Value) {
        let frame = json!({ "event": event, "data": data });
        self.outgoing.lock().await.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The decrypted messages so far, exactly as they were sealed.
    pub fn texts(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        assert_eq!(received.plain, [""; 0], "nothing but sealed frames follows `connected`");
        received.messages.clone()
    }

    pub fn messages(&self) -> Vec<Value> {
        self.texts().iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// `data` of every message of an event.
    pub fn data_of(&self, event: &str) -> Vec<Value> {
        let messages = self.messages().into_iter();
        messages.filter(|message| message["event"] == event).map(|mut message| message["data"].take()).collect()
    }

    pub fn notifications(&self) -> Vec<Value> {
        self.data_of(event::NOTIFICATION_CREATED)
    }

    /// The event ids of the notifications so far, in order.
    pub fn event_ids(&self) -> Vec<String> {
        self.notifications().iter().map(|data| data["eventId"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn wait_for_notification(&self, event_id: &str) -> Value {
        eventually(SOON, || async {
            self.check_open()?;
            let found = self.notifications().into_iter().find(|data| data["eventId"] == event_id);
            found.ok_or_else(|| format!("{} has {:?}", self.user, self.event_ids()))
        })
        .await
    }

    /// Waits for as many messages of an event and returns the data of all there are.
    pub async fn wait_for(&self, event: &str, count: usize) -> Vec<Value> {
        eventually(SOON, || async {
            self.check_open()?;
            let data = self.data_of(event);
            if data.len() >= count { Ok(data) } else { Err(format!("{} has {} of {count}", self.user, data.len())) }
        })
        .await
    }

    /// The code with which the edge has closed it, if it has.
    pub fn closed(&self) -> Option<u16> {
        self.received.lock().unwrap().closed
    }

    fn check_open(&self) -> Result<(), String> {
        match self.closed() {
            Some(code) => Err(format!("the edge has closed {}'s window with {code}", self.user)),
            None => Ok(()),
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut incoming: SplitStream<Socket>, cipher: Cipher, received: Arc<Mutex<Received>>) {
    while let Some(Ok(frame)) = incoming.next().await {
        let mut received = received.lock().unwrap();
        match frame {
            Message::Text(text) => match open(&cipher, &text) {
                Some(message) => received.messages.push(message),
                None => received.plain.push(text.to_string()),
            },
            Message::Binary(bytes) => received.plain.push(format!("{} bytes", bytes.len())),
            Message::Close(close) => {
                received.closed = Some(close.map_or(1005, |close| close.code.into()));
                return;
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    received.lock().unwrap().closed.get_or_insert(1006);
}

fn open(cipher: &Cipher, text: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(text).ok()?;
    if frame["event"] != event::ENCRYPTED {
        return None;
    }
    let (iv, ct) = (frame["data"]["iv"].as_str()?, frame["data"]["ct"].as_str()?);
    let plaintext = cipher.open(&Sealed { iv: iv.into(), ct: ct.into() }).ok()?;
    String::from_utf8(plaintext).ok()
}
