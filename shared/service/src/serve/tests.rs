use std::net::SocketAddr;

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use super::*;
use crate::{listen, shutdown::Drain};

/// Far beyond what anything here takes; a deadline, never a measure.
const SOON: Duration = Duration::from_secs(30);
const PING: &[u8] = b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    addr: SocketAddr,
    shutdown: Shutdown,
    /// Lets one request for `/slow` go on.
    go_on: Arc<Notify>,
    asked: Arc<Notify>,
}

fn start(limits: Limits) -> Server {
    let (go_on, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&go_on), Arc::clone(&asked));
    let slow = move || {
        let (wait, tell) = (Arc::clone(&wait), Arc::clone(&tell));
        async move {
            tell.notify_one();
            wait.notified().await;
            "slow"
        }
    };
    let echo = |body: axum::body::Bytes| async move { body };
    let router = Router::new()
        .route("/ping", get(|| async { "pong" }))
        .route("/slow", get(slow))
        .route("/echo", axum::routing::post(echo));
    let listener = listen::bind("127.0.0.1:0".parse().unwrap(), "SIGNAL_HTTP_ADDR").unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new(SOON);
    tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    Server { addr, shutdown, go_on, asked }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }
}

async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with(end) {
        let read = timeout(SOON, socket.read(&mut buffer)).await.expect("an answer in time").unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// What comes until the peer closes; a reset is a close, too.
async fn rest(mut socket: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(SOON, socket.read_to_end(&mut bytes)).await.expect("a close in time");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_asks_again_and_again() {
    let server = start(Limits::default());
    let mut socket = server.connect().await;
    for _ in 0..3 {
        socket.write_all(PING).await.unwrap();
        assert!(read_until(&mut socket, "pong").await.starts_with("HTTP/1.1 200"));
    }
}

/// The one place there is, taken by whoever says no more than `beginning`, becomes free again.
async fn gives_its_place_back(limits: Limits, beginning: &[u8]) {
    let server = start(Limits { connections: 1, ..limits });
    let mut slow = server.connect().await;
    slow.write_all(beginning).await.unwrap();
    let mut other = server.connect().await;
    other.write_all(PING).await.unwrap();
    read_until(&mut other, "pong").await;
    assert!(!rest(slow).await.contains("200"));
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn slow_headers_and_silence_are_given_little_time() {
    let limits = Limits { header_timeout: SHORT, lifetime: 10 * SOON, ..Limits::default() };
    gives_its_place_back(limits, b"GET /ping HTTP/1.1\r\nhost:").await;
    gives_its_place_back(limits, b"").await;
}

#[tokio::test]
async fn a_slow_body_is_cut_when_its_connection_has_lived_for_long() {
    let limits = Limits { header_timeout: 10 * SOON, lifetime: SHORT, grace: SHORT, ..Limits::default() };
    gives_its_place_back(limits, b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nx").await;
}

#[tokio::test]
async fn a_stop_accepts_nobody_and_answers_what_it_was_asked() {
    let server = start(Limits::default());
    let (mut busy, mut idle) = (server.connect().await, server.connect().await);
    idle.write_all(PING).await.unwrap();
    read_until(&mut idle, "pong").await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.asked.notified().await;

    server.shutdown.trigger();
    assert_eq!(rest(idle).await, "", "who asks for nothing is let go");
    server.go_on.notify_one();
    let answer = rest(busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
    assert_eq!(server.shutdown.drain().await, Drain::Finished);
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn heads_are_bounded_in_bytes() {
    let server = start(Limits::default());
    let mut socket = server.connect().await;
    let head = format!("GET /ping HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(20 * 1024));
    let _ = socket.write_all(head.as_bytes()).await;
    assert!(rest(socket).await.starts_with("HTTP/1.1 431"));
}
