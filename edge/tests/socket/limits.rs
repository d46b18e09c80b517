//! What the edge lets nobody exceed: connections, handshakes, addresses, frames.

use std::net::SocketAddr;

use serde_json::{Value, json};
use signal_harness::eventually;
use signal_wire::envelope::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    fixture::{SOON, TestEdge, counted},
    rest::CLIENTS,
};

/// Asks for the stream as a browser would, and returns the status, and the body of a refusal.
async fn upgrade(addr: SocketAddr, headers: &str) -> (u16, Value, TcpStream) {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!(
        "GET /stream HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    // An edge that refuses an address does so without reading.
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let complete = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
        if status == 101 {
            return Some((status, Value::Null));
        }
        serde_json::from_str(body).ok().map(|body| (status, body))
    };
    loop {
        if let Some((status, body)) = complete(&answer) {
            return (status, body, socket);
        }
        let mut part = [0; 1024];
        let read = tokio::time::timeout(SOON, socket.read(&mut part)).await.expect("no answer").unwrap();
        assert!(read > 0, "no answer but {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
}

fn refused(limit: &str) -> f64 {
    counted("signal_edge_not_admitted_total", &[("limit", limit)])
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_place_is_had_again() {
    let edge = TestEdge::start(&[("SIGNAL_MAX_CONNECTIONS", "2")]).await;
    let (before, first, _second) = (refused("full"), edge.client("an").await, edge.client("binh").await);
    let (status, body, _) = upgrade(edge.addr, "").await;
    assert_eq!((status, &body["message"]), (503, &json!("This edge has all the connections that it may have")));
    assert!(!body["requestId"].as_str().unwrap().is_empty(), "{body}");
    assert!(refused("full") > before);
    drop(first);
    eventually(SOON, || async { upgrade(edge.addr, "").await.0 == 101 }).await;
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let edge = TestEdge::start(&[("SIGNAL_MAX_CONNECTIONS_PER_IP", "2")]).await;
    let (before, first, _second) = (refused("address"), edge.client("an").await, edge.client("binh").await);
    // Before a byte is read, and whatever it would ask for.
    let (status, body, _) = upgrade(edge.addr, "X-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!((status, &body["message"]), (429, &json!("Too many connections from this address")));
    assert!(refused("address") > before);
    drop(first);
    eventually(SOON, || async { upgrade(edge.addr, "").await.0 == 101 }).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_it_is_the_clients_address_that_counts() {
    let edge = TestEdge::start(&[
        ("SIGNAL_MAX_CONNECTIONS_PER_IP", "1"),
        ("SIGNAL_TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8"),
    ])
    .await;
    let (status, _, _held) = upgrade(edge.addr, "X-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(status, 101);
    for same in ["203.0.113.9", "198.51.100.1, 203.0.113.9", "203.0.113.9, 10.0.0.7", "::ffff:203.0.113.9"] {
        let (status, body, _) = upgrade(edge.addr, &format!("X-Forwarded-For: {same}\r\n")).await;
        assert_eq!((status, &body["message"]), (429, &json!("Too many connections from this address")), "{same}");
    }
    let (status, _, _another) = upgrade(edge.addr, "X-Forwarded-For: 203.0.113.10\r\n").await;
    assert_eq!(status, 101, "another client of the same proxy has its own place");
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_and_what_is_no_page_is_not() {
    let edge = TestEdge::start(&[("SIGNAL_ALLOWED_ORIGINS", "https://shop.example, https://*.shop.example")]).await;
    for (origin, expected) in [
        ("Origin: https://shop.example\r\n", 101),
        ("Origin: https://Till.Shop.example:443\r\n", 101),
        ("", 101),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: http://shop.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: https://shop.example\r\nOrigin: https://evil.example\r\n", 403),
    ] {
        let before = refused("origin");
        let (status, body, _) = upgrade(edge.addr, origin).await;
        assert_eq!(status, expected, "{origin}");
        if expected == 403 {
            assert_eq!(body["message"], "Pages of this origin are not allowed");
            assert!(refused("origin") > before);
        }
    }
}

#[tokio::test]
async fn a_refused_upgrade_can_be_asked_for_again_on_the_same_connection() {
    let edge =
        TestEdge::start(&[("SIGNAL_MAX_CONNECTIONS_PER_IP", "1"), ("SIGNAL_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (_, _, held) = upgrade(edge.addr, "X-Forwarded-For: 203.0.113.9\r\n").await;
    let (status, _, mut socket) = upgrade(edge.addr, "X-Forwarded-For: 203.0.113.9\r\n").await;
    assert_eq!(status, 429);
    drop(held);
    eventually(SOON, || async { edge.edge.connections() == 0 && upgrade(edge.addr, "").await.0 == 101 }).await;
    let again = "GET /stream HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 X-Forwarded-For: 203.0.113.77\r\n\r\n";
    socket.write_all(again.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, socket.read_exact(&mut answer)).await.expect("no answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_unsent() {
    let edge = TestEdge::start(&[]).await;
    let mut socket = TcpStream::connect(edge.addr).await.unwrap();
    let request = format!(
        "POST {CLIENTS}/broadcast HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n",
        edge.operator()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(SOON, socket.read_exact(&mut answer)).await.expect("no answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn when_all_places_are_taken_who_says_nothing_makes_room() {
    let edge = TestEdge::start(&[("SIGNAL_MAX_HANDSHAKES", "2"), ("SIGNAL_AUTHENTICATION_TIMEOUT", "1h")]).await;
    let held = || counted("signal_edge_accept_held_total", &[]);
    let before = (held(), refused("silent"));
    let mut stranger = edge.open().await;
    let mut nobody = TcpStream::connect(edge.addr).await.unwrap();
    // Both would hold their places for good; and an operator's request has to get through as well.
    let mut client = tokio::time::timeout(SOON, edge.client("an")).await.expect("it is never its turn");
    assert_eq!(stranger.closed().await, (4009, "Too many requests".to_owned()));
    assert!(held() > before.0 && refused("silent") > before.1);
    edge.say(Target::User("an"), "hello", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "hello");
    let mut others = Vec::new();
    for user in ["binh", "chi", "dung"] {
        others.push(tokio::time::timeout(SOON, edge.client(user)).await.expect("a client holds no place"));
    }
    drop(others);
    // Nobody else wants a place, so this one may stay; another would take it.
    let _another = edge.open().await;
    tokio::time::timeout(SOON, edge.client("em")).await.expect("it is never its turn");
    assert_eq!(tokio::time::timeout(SOON, nobody.read(&mut [0; 1])).await.expect("it stays").unwrap_or(0), 0);
}

#[tokio::test]
async fn who_talks_too_much_is_closed_with_4009_and_nobody_else() {
    let edge = TestEdge::start(&[("SIGNAL_MESSAGE_RATE", "2")]).await;
    for (what, frame) in [
        ("heartbeats", Message::text(r#"{"event":"heartbeat"}"#)),
        ("nonsense", Message::text("nonsense")),
        ("binary", Message::binary(vec![0])),
        ("pings", Message::Ping("".into())),
    ] {
        let before = counted("signal_edge_inbound_refused_total", &[("reason", "rate")]);
        let (mut loud, mut quiet) = (edge.client("loud").await, edge.client("quiet").await);
        // `authenticate` was the first of twenty that may be said at once. A minute's worth of frames is too much
        // however slow the machine is.
        for _ in 0..140 {
            if loud.socket.socket.is_closed(&frame).await {
                break;
            }
        }
        assert_eq!(loud.socket.close_after_errors().await, (4009, "Too many requests".to_owned()), "{what}");
        assert!(counted("signal_edge_inbound_refused_total", &[("reason", "rate")]) > before);
        edge.say(Target::User("quiet"), "hello", json!(1)).await;
        assert_eq!(quiet.socket.hear().await["event"], "hello");
    }
}

#[tokio::test]
async fn who_is_nobody_yet_may_not_talk_without_end_either() {
    let edge = TestEdge::start(&[("SIGNAL_MESSAGE_RATE", "2")]).await;
    let mut stranger = edge.open().await;
    for _ in 0..140 {
        if stranger.socket.is_closed(&Message::text(r#"{"event":"heartbeat"}"#)).await {
            break;
        }
    }
    assert_eq!(stranger.close_after_errors().await, (4009, "Too many requests".to_owned()));
}

/// Sending while the other end may be closing.
trait Flooded {
    /// Sends; `true` once the connection takes no more.
    async fn is_closed(&mut self, frame: &Message) -> bool;
}

impl Flooded for crate::fixture::Stream {
    async fn is_closed(&mut self, frame: &Message) -> bool {
        use futures_util::SinkExt;
        self.send(frame.clone()).await.is_err()
    }
}
