//! What every backplane does, and every one that can be away.

use std::sync::Arc;

use signal_bus::{Bus, BusError, Event, Mode, Publication};
use tokio::time::timeout;

use crate::{
    listener::{Listener, SOON, heard, publication, say},
    server::{Broker, on_each},
};

on_each!(a_server_behaves);

async fn a_server_behaves<B: Broker>() {
    let server = B::launch().await;
    behaves(&*server.bus(Mode::Exact)).await;
}

pub(crate) async fn behaves(bus: &dyn Bus) {
    let mut one = Listener::open(bus).await;
    let mut other = Listener::open(bus).await;
    one.acquire(&["a", "ws:room:r/ü 🙂"]).await;
    other.acquire(&["a"]).await;

    // Whatever is said after the confirmation is heard, by exactly those who hold the channel, in order.
    let batch: Vec<_> = (0..200).map(|n| publication("a", &n.to_string())).collect();
    bus.publish(&batch).await.unwrap();
    say(bus, "nobody's", "x").await;
    say(bus, "ws:room:r/ü 🙂", "y").await;
    for n in 0..200 {
        assert_eq!(one.message().await, heard("a", &n.to_string()));
        assert_eq!(other.message().await, heard("a", &n.to_string()));
    }
    assert_eq!(one.message().await, heard("ws:room:r/ü 🙂", "y"));

    // Held twice, released once: still heard.
    one.acquire(&["a", "end"]).await;
    one.release(&["a"]);
    one.acquire(&["later"]).await;
    say(bus, "a", "still").await;
    assert_eq!(one.message().await, heard("a", "still"));
    one.release(&["a"]);
    // Confirmed after the release, so the release has happened.
    one.acquire(&["later still"]).await;
    assert_eq!(one.held(), 4, "a room, the end and two that came later");
    say(bus, "a", "gone").await;
    say(bus, "end", "x").await;
    assert_eq!(one.message().await, heard("end", "x"));

    // Released and acquired again at once: heard.
    one.release(&["end"]);
    one.acquire(&["end"]).await;
    say(bus, "end", "again").await;
    assert_eq!(one.message().await, heard("end", "again"));
    // Releasing what is not held is nothing.
    one.release(&["never", "never"]);
    one.acquire(&["never"]).await;
    say(bus, "never", "now").await;
    assert_eq!(one.message().await, heard("never", "now"));

    // Payloads are bytes.
    bus.publish(&[Publication { channel: "end".into(), payload: vec![0, 255, 13, 10].into() }]).await.unwrap();
    assert!(matches!(one.next().await, Event::Message(message) if message.payload[..] == [0, 255, 13, 10]));
    bus.publish(&[]).await.unwrap();
}

/// `server` is all that `bus` has. It is there again afterwards.
pub(crate) async fn comes_back(bus: &dyn Bus, server: &impl Broker) {
    let mut listener = Listener::open(bus).await;
    // More than fit in one command.
    let names: Vec<String> = (0..2500).map(|n| format!("c{n}")).collect();
    listener.channels.acquire(names).await.unwrap();
    say(bus, "c0", "before").await;
    assert_eq!(listener.message().await, heard("c0", "before"));

    server.stop().await;
    let reason = listener.lost().await;
    assert!(server.blames(&reason), "{reason}");
    let refused = bus.publish(&[publication("c0", "nobody there")]).await.unwrap_err();
    assert!(matches!(&refused, BusError::Unreachable(reason) if server.blames(reason)), "{refused}");

    // What is asked for while the server is away holds when it is back.
    let channels = Arc::clone(&listener.channels);
    let late = tokio::spawn(async move { channels.acquire(vec!["late".to_owned()]).await });
    listener.release(&["c1"]);
    server.start().await;
    listener.restored().await;
    timeout(SOON, late).await.expect("never confirmed").unwrap().unwrap();
    say(bus, "c1", "let go").await;
    for channel in ["c0", "c2499", "late"] {
        say(bus, channel, "after").await;
        assert_eq!(listener.message().await, heard(channel, "after"));
    }
}
