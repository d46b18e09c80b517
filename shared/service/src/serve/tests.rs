use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{listen, shutdown::Drain};

/// Far beyond what anything here takes; a deadline, never a measure.
const SOON: Duration = Duration::from_secs(30);
const PING: &[u8] = b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    addr: SocketAddr,
    shutdown: Shutdown,
    /// Lets one request for `/slow` go on.
    go_on: Arc<Semaphore>,
    /// One for each request that has come so far.
    asked: Arc<Semaphore>,
    /// The most requests for `/slow` that were under way at once.
    most: Arc<AtomicUsize>,
}

fn start(limits: Limits) -> Server {
    let (go_on, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (most, at_work) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, tell, peak) = (Arc::clone(&go_on), Arc::clone(&asked), Arc::clone(&most));
    let slow = move || {
        let (wait, tell, peak, at_work) =
            (Arc::clone(&wait), Arc::clone(&tell), Arc::clone(&peak), Arc::clone(&at_work));
        async move {
            peak.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tell.add_permits(1);
            wait.acquire().await.unwrap().forget();
            at_work.fetch_sub(1, Ordering::SeqCst);
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
    Server { addr, shutdown, go_on, asked, most }
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

#[tokio::test]
async fn no_more_connections_are_served_than_there_are_places() {
    let server = start(Limits { connections: 2, ..Limits::default() });
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = server.connect().await;
        socket.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        sockets.push(socket);
    }
    for _ in 0..sockets.len() {
        server.asked.acquire().await.unwrap().forget();
        server.go_on.add_permits(1);
    }
    for socket in sockets {
        assert!(rest(socket).await.ends_with("slow"));
    }
    assert!(server.most.load(Ordering::SeqCst) <= 2);
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
    server.asked.acquire().await.unwrap().forget();

    server.shutdown.trigger();
    assert_eq!(rest(idle).await, "", "who asks for nothing is let go");
    server.go_on.add_permits(1);
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
