//! One trace from whoever publishes to the sockets of who is sent it.

use std::sync::{Arc, Mutex};

use serde_json::json;
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Record, eventually, require};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::platform::{Backplane, Platform, SOON, payment};

/// Takes whatever is exported by OTLP over HTTP, and keeps the bodies.
struct Collector {
    endpoint: String,
    bodies: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn launch() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while let Ok(read @ 1..) = socket.read_buf(&mut request).await {
                        kept.lock().unwrap().extend_from_slice(&request[request.len() - read..]);
                        // An answer for each read is more than one for each request, which no client minds.
                        if request.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let _ = socket
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                            .await;
                    }
                });
            }
        });
        Collector { endpoint, bodies }
    }

    /// A span says its trace and its parent in raw bytes, and its name in text (opentelemetry-proto, trace/v1).
    async fn wait_for(&self, all: &[&[u8]]) {
        for wanted in all {
            eventually(SOON, || async { if self.has(wanted) { Ok(()) } else { Err(format!("no {wanted:?} yet")) } })
                .await;
        }
    }

    fn has(&self, wanted: &[u8]) -> bool {
        self.bodies.lock().unwrap().windows(wanted.len()).any(|window| window == wanted)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_traced_message_is_followed_to_the_socket() {
    require!(PubSub);
    let collector = Collector::launch().await;
    let endpoint = collector.endpoint.clone();
    let platform = Backplane::with(|edge| edge.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)).await;
    let window = platform.window("an").await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let envelope = json!({
        "serverId": "emitter", "type": "user", "target": "an", "event": "order", "data": { "secret": "not for traces" },
        "traceparent": format!("00-{trace}-{span}-01"),
    });
    platform.publish("ws:user:an", envelope.to_string().as_bytes()).await;
    assert_eq!(window.wait_for("order", 1).await, [json!({ "secret": "not for traces" })]);
    collector.wait_for(&[&bytes(trace), &bytes(span), b"push", b"write", b"handshake", b"signal-edge"]).await;
    assert!(!collector.has(b"not for traces"), "payloads are no business of a trace");
    assert!(!window.texts()[0].contains(trace), "nor is a trace a client's");
}

#[tokio::test]
async fn a_traced_record_is_followed_through_the_worker_to_the_socket() {
    require!(Postgres, PubSub, Kafka, Kcat);
    let (at_edge, at_worker) = tokio::join!(Collector::launch(), Collector::launch());
    let backplane = Backplane::with(|edge| edge.env("OTEL_EXPORTER_OTLP_ENDPOINT", &at_edge.endpoint)).await;
    let platform =
        Platform::on(backplane, |worker| worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &at_worker.endpoint)).await;
    let window = platform.window("an").await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let event = payment("evt_1", &json!({ "userIds": ["an"] })).to_string();
    platform.produce_record(&Record::new(event).header("traceparent", format!("00-{trace}-{span}-01"))).await;
    window.wait_for_notification("evt_1").await;
    let steps: [&[u8]; 4] = [b"process", b"resolve", b"persist", b"publish"];
    at_worker.wait_for(&[&[&bytes(trace)[..], &bytes(span), b"signal-worker"][..], &steps].concat()).await;
    // The same trace, and its parent is a span of the worker's.
    at_edge.wait_for(&[&bytes(trace), b"push", b"write"]).await;
    assert!(!at_edge.has(&bytes(span)), "the edge's parent is the worker");
    assert!(!at_worker.has("Cà Phê 79".as_bytes()), "payloads are no business of a trace");
}
