//! Clients that talk without end, never read, or never say what they want.

use std::time::Duration;

use serde_json::json;
use signal_harness::eventually;
use signal_wire::envelope::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};
use tokio_tungstenite::MaybeTlsStream;

use crate::fixture::{SOON, Socket, TestEdge, counted};

/// Longer than a closing connection is given.
const LATER: Duration = Duration::from_secs(20);

/// An edge on threads of its own, so that pinning them stops neither the clients nor the clock of the test.
async fn edge_apart(variables: &'static [(&str, &str)]) -> (Apart, TestEdge) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let edge = runtime.spawn(TestEdge::start(variables)).await.unwrap();
    (Apart(Some(runtime)), edge)
}

/// Does not wait for threads that are pinned: a test that fails because they are must end all the same.
struct Apart(Option<Runtime>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Writes these bytes without end; ends when the edge takes no more.
fn flood(socket: Socket, frame: &[u8]) -> tokio::task::JoinHandle<()> {
    let mut socket = socket.socket;
    let frames = frame.repeat(4096);
    tokio::spawn(async move {
        let MaybeTlsStream::Plain(stream) = socket.get_mut() else { panic!("no plain socket") };
        while stream.write_all(&frames).await.is_ok() {}
    })
}

#[tokio::test]
async fn who_never_stops_talking_has_no_thread_to_itself() {
    let (_apart, edge) = edge_apart(&[("SIGNAL_AUTHENTICATION_TIMEOUT", "2s"), ("SIGNAL_MESSAGE_RATE", "0")]).await;
    let ping = [0x89, 0x80, 0, 0, 0, 0];
    let heartbeat = [&[0x81, 0x95, 0, 0, 0, 0][..], br#"{"event":"heartbeat"}"#].concat();
    let mut strangers = Vec::new();
    let mut known = Vec::new();
    for frame in [&ping[..], &ping, &heartbeat] {
        strangers.push(flood(edge.open().await, frame));
        known.push(flood(edge.client("flooder").await.socket, frame));
    }
    let mut client = tokio::time::timeout(SOON, edge.client("an")).await.expect("a client is not served");
    edge.say(Target::User("an"), "hello", json!(1)).await;
    assert_eq!(client.socket.hear().await["event"], "hello");
    for stranger in strangers {
        tokio::time::timeout(LATER, stranger).await.expect("the authentication timeout holds").unwrap();
    }
    edge.shutdown.trigger();
    for flooder in known {
        tokio::time::timeout(LATER, flooder).await.expect("the stop holds").unwrap();
    }
}

#[tokio::test]
async fn who_never_reads_again_is_gone_for_good() {
    let edge = TestEdge::start(&[]).await;
    let slow = edge.client("slow").await;
    let before = counted("signal_edge_closes_total", &[("code", "4008")]);
    let padding = "x".repeat(400_000);
    while counted("signal_edge_closes_total", &[("code", "4008")]) == before {
        edge.say(Target::User("slow"), "padding", json!(padding)).await;
        tokio::task::yield_now().await;
    }
    eventually(LATER, || async { edge.edge.connections() == 0 }).await;
    drop(slow);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_who_never_reads() {
    let edge = TestEdge::start(&[("SIGNAL_OUTBOUND_LIMIT", "64MiB")]).await;
    let slow = edge.client("slow").await;
    let mut watching = edge.client("watching").await;
    // More than the socket's buffers take, less than the limit: nothing closes it but the stop.
    let padding = "x".repeat(400_000);
    for _ in 0..40 {
        edge.say(Target::User("slow"), "padding", json!(padding)).await;
    }
    edge.say(Target::Broadcast, "said", json!(1)).await;
    assert_eq!(watching.socket.hear().await["event"], "said");
    edge.shutdown.trigger();
    assert_eq!(watching.socket.closed().await.0, 1001);
    assert_eq!(edge.shutdown.drain().await, signal_service::shutdown::Drain::Finished);
    drop(slow);
}

#[tokio::test]
async fn who_asks_and_does_not_read_gives_its_place_back() {
    let edge = TestEdge::start(&[("SIGNAL_MAX_HANDSHAKES", "1"), ("SIGNAL_HTTP_TIMEOUT", "200ms")]).await;
    let mut greedy = TcpStream::connect(edge.addr).await.unwrap();
    let requests = "GET /elsewhere HTTP/1.1\r\nHost: edge\r\n\r\n".repeat(2000);
    // Until neither side's buffers take more.
    let full = async { while greedy.write_all(requests.as_bytes()).await.is_ok() {} };
    let _ = tokio::time::timeout(Duration::from_millis(500), full).await;
    let client = tokio::time::timeout(LATER, edge.client("an")).await.expect("its place is never given back");
    drop((greedy, client));
}

#[tokio::test]
async fn a_connection_that_becomes_no_websocket_ends() {
    let edge = TestEdge::start(&[("SIGNAL_HTTP_TIMEOUT", "200ms")]).await;
    let mut idle = TcpStream::connect(edge.addr).await.unwrap();
    idle.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: edge\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, idle.read_to_end(&mut answer)).await.expect("it is kept").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404"));
}
