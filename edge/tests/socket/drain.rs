//! How an edge sends its clients away.

use std::time::Duration;

use serde_json::json;
use signal_harness::eventually;
use signal_service::shutdown::Drain;
use signal_wire::envelope::Target;
use tokio::net::TcpStream;

use crate::fixture::{SOON, TestEdge, counted};

/// By how much a busy machine may be late.
const LATE_MS: u64 = 2000;

#[tokio::test]
async fn a_stop_spreads_its_clients_evenly_over_the_window() {
    // The fixture's deadline leaves room for three seconds.
    let edge = TestEdge::start(&[("SIGNAL_DRAIN_WINDOW", "3s")]).await;
    let mut clients = Vec::new();
    for number in 0..30 {
        clients.push(edge.client(&format!("user-{number}")).await);
    }
    edge.shutdown.trigger();
    let mut delays = Vec::new();
    for client in &mut clients {
        let message = client.socket.hear().await;
        assert_eq!(message["event"], "reconnect", "{message}");
        delays.push(message["data"]["afterMs"].as_u64().unwrap());
    }
    let told = delays.clone();
    delays.sort_unstable();
    for (place, delay) in delays.iter().enumerate() {
        let even = (place as u64 * 2 + 1) * 50;
        assert!((even.saturating_sub(LATE_MS)..=even).contains(delay), "{place}: {delay} in {delays:?}");
    }
    // Who came when says nothing about who goes when: thirty in the order of their coming would be no accident.
    assert_ne!(told, delays);

    // While they leave, they are served; and whoever does not leave is closed.
    edge.say(Target::Broadcast, "late", json!(1)).await;
    for client in &mut clients {
        assert_eq!(client.socket.hear().await["event"], "late");
        assert_eq!(client.socket.closed().await, (1001, "Server shutting down".to_owned()));
    }
    assert_eq!(edge.shutdown.drain().await, Drain::Finished);
}

#[tokio::test]
async fn a_draining_edge_lets_nobody_in() {
    let edge = TestEdge::start(&[("SIGNAL_DRAIN_WINDOW", "3s")]).await;
    let mut client = edge.client("an").await;
    let mut stranger = edge.open().await;
    edge.shutdown.trigger();
    assert_eq!(client.socket.hear().await["event"], "reconnect");
    assert_eq!(stranger.closed().await, (1001, "Server shutting down".to_owned()));
    // The listener is closed along with its task.
    eventually(SOON, || async { TcpStream::connect(edge.addr).await.is_err() }).await;
}

#[tokio::test]
async fn clients_that_have_been_here_for_long_are_sent_elsewhere() {
    let edge = TestEdge::start(&[("SIGNAL_MAX_CONNECTION_AGE", "1s")]).await;
    let before = counted("signal_edge_reconnects_announced_total", &[]);
    let mut client = edge.client("an").await;
    let message = client.socket.hear().await;
    assert_eq!(message["event"], "reconnect", "{message}");
    // At most the time between two looks at who has reached the age.
    assert!(message["data"]["afterMs"].as_u64().unwrap() <= 10, "{message}");
    assert!(counted("signal_edge_reconnects_announced_total", &[]) > before);
    assert_eq!(client.socket.closed().await, (1001, "Server shutting down".to_owned()), "once, and then the close");
}

#[tokio::test]
async fn a_window_that_does_not_fit_is_cut_to_the_deadline() {
    let edge = TestEdge::start(&[("SIGNAL_DRAIN_WINDOW", "1h")]).await;
    let mut client = edge.client("an").await;
    edge.shutdown.trigger();
    let message = client.socket.hear().await;
    assert!(message["data"]["afterMs"].as_u64().unwrap() <= 1500, "{message}");
    assert_eq!(edge.shutdown.drain().await, Drain::Finished, "within {:?}", Duration::from_secs(10));
}
