//! What somebody does that an edge refuses, and what they are told.

use serde_json::Value;
use signal_client::{Disconnect, Endpoint, Session, session::Received};
use signal_harness::Service;
use signal_wire::protocol::Protocol;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{platform::SOON, window::Raw};

/// Asks for the stream as a browser would. The answer is its status and the words of a refusal.
pub async fn upgrade(edge: &Service, headers: &str) -> (String, TcpStream) {
    let mut socket = TcpStream::connect(edge.http_addr()).await.unwrap();
    let request = format!(
        "GET /stream HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    // An edge may refuse without reading.
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    loop {
        if let Some(said) = refusal(&answer) {
            return (said, socket);
        }
        let mut part = [0; 1024];
        let read = timeout(SOON, socket.read(&mut part)).await.expect("an answer within the deadline").unwrap();
        assert!(read > 0, "cut off: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
}

/// `None` while the answer is not complete.
fn refusal(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?;
    if status == "101" {
        return Some(status.to_owned());
    }
    let body: Value = serde_json::from_str(body).ok()?;
    Some(format!("{status} {}", body["message"].as_str()?))
}

/// Opens a socket, says this on it and listens to the end: `error` events, then the close.
pub async fn greet(edge: &Service, frame: &Value) -> String {
    let mut raw = Raw::connect(edge.http_addr()).await;
    if !frame.is_null() {
        raw.send_json(frame).await;
    }
    let mut said = Vec::new();
    loop {
        match raw.next().await {
            Some(Message::Text(text)) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                said.push(frame["data"]["message"].as_str().unwrap().to_owned());
            }
            Some(Message::Close(Some(close))) => {
                said.push(format!("{} {}", u16::from(close.code), close.reason));
                return said.join("; ");
            }
            other => panic!("{other:?} after {said:?}"),
        }
    }
}

pub async fn session(edge: &Service, token: &str, protocol: Protocol) -> Session {
    let endpoint = Endpoint::new(&format!("ws://{}/stream", edge.http_addr())).unwrap().protocol(protocol);
    Session::open(&endpoint, token).await.unwrap()
}

/// Says this and tells what comes of it: the words of an `error`, or a close.
pub async fn say(session: &mut Session, event: &str, data: &Value) -> String {
    session.send(event, data).await.unwrap();
    hear(session).await
}

/// The next `error` or the close; pushes are passed over.
pub async fn hear(session: &mut Session) -> String {
    loop {
        match timeout(SOON, session.receive()).await.expect("something within the deadline") {
            Ok(Received::Message(message)) if message.event() == "error" => {
                return message.data::<Value>().unwrap()["message"].as_str().unwrap().to_owned();
            }
            Ok(Received::Message(_) | Received::Alive) => {}
            Ok(Received::Problem(problem)) => panic!("{problem}"),
            Err(Disconnect::Closed(close)) => return format!("{} {}", close.code, close.reason),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Says something that is refused without a word: the answer to what is said next is the first that comes.
pub async fn say_in_vain(session: &mut Session, event: &str, data: &Value) -> String {
    session.send(event, data).await.unwrap();
    match &*say(session, "authenticate", &Value::Null).await {
        "Already authenticated" => "(silence)".to_owned(),
        other => other.to_owned(),
    }
}
