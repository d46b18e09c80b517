//! Both backplanes held to one behaviour, and Redis to what only a server on a network can do.
#![allow(clippy::unwrap_used, reason = "a test that finds something missing has failed")]

use std::{sync::Arc, time::Duration};

use signal_bus::{
    Bus, BusError, Channels, Event, Events, Publication,
    memory::MemoryBus,
    redis::{Mode, RedisBus},
};
use signal_harness::{Redis, require};
use tokio::time::timeout;

/// Far beyond what anything here takes.
const SOON: Duration = Duration::from_secs(15);

struct Listener {
    channels: Arc<dyn Channels>,
    events: Box<dyn Events>,
    heard: std::collections::VecDeque<Event>,
}

impl Listener {
    /// A subscription that has connected.
    async fn open(bus: &dyn Bus) -> Self {
        let (channels, events) = bus.subscribe();
        let mut listener = Self { channels, events, heard: Default::default() };
        assert_eq!(listener.next().await, Event::Restored);
        listener
    }

    async fn acquire(&self, channels: &[&str]) {
        let names = channels.iter().map(|&channel| channel.to_owned()).collect();
        timeout(SOON, self.channels.acquire(names)).await.expect("never confirmed").unwrap();
    }

    fn release(&self, channels: &[&str]) {
        self.channels.release(channels.iter().map(|&channel| channel.to_owned()).collect());
    }

    async fn next(&mut self) -> Event {
        if self.heard.is_empty() {
            let mut batch = Vec::new();
            assert!(timeout(SOON, self.events.next(&mut batch, 64)).await.expect("nothing heard"), "closed");
            assert!(!batch.is_empty() && batch.len() <= 64);
            self.heard.extend(batch);
        }
        self.heard.pop_front().unwrap()
    }

    async fn message(&mut self) -> (String, String) {
        match self.next().await {
            Event::Message(message) => (message.channel, String::from_utf8(message.payload.to_vec()).unwrap()),
            other => panic!("heard {other:?}"),
        }
    }
}

async fn say(bus: &dyn Bus, channel: &str, payload: &str) {
    bus.publish(&[publication(channel, payload)]).await.unwrap();
}

fn publication(channel: &str, payload: &str) -> Publication {
    Publication { channel: channel.to_owned(), payload: payload.to_owned().into() }
}

fn heard(channel: &str, payload: &str) -> (String, String) {
    (channel.to_owned(), payload.to_owned())
}

async fn behaves(bus: &dyn Bus) {
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

#[tokio::test]
async fn memory() {
    behaves(&MemoryBus::new()).await;
}

#[tokio::test]
async fn redis() {
    require!(Redis);
    let server = Redis::launch().await;
    behaves(&RedisBus::new(&server.url(), Mode::Exact).unwrap()).await;
}

#[tokio::test]
async fn a_dropped_subscription_hears_and_holds_nothing() {
    let bus = MemoryBus::new();
    let listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    drop(listener.events);
    say(&bus, "a", "nobody").await;
    assert!(matches!(listener.channels.acquire(vec!["b".into()]).await, Err(BusError::Closed)));
}

#[tokio::test]
async fn many_acquire_at_once() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    let waiting: Vec<_> = (0..500)
        .map(|n| {
            let (channels, names) = (Arc::clone(&listener.channels), vec![format!("c{n}"), "shared".to_owned()]);
            tokio::spawn(async move { channels.acquire(names).await })
        })
        .collect();
    for (n, acquired) in waiting.into_iter().enumerate() {
        timeout(SOON, acquired).await.expect("never confirmed").unwrap().unwrap();
        say(&bus, &format!("c{n}"), "x").await;
        assert_eq!(listener.message().await, heard(&format!("c{n}"), "x"));
    }
    for _ in 0..499 {
        listener.release(&["shared"]);
    }
    listener.acquire(&["end"]).await;
    say(&bus, "shared", "last holder").await;
    assert_eq!(listener.message().await, heard("shared", "last holder"));
}

#[tokio::test]
async fn patterns_hear_everybodys_channels() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Pattern).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["ws:user:an"]).await;
    for channel in ["ws:user:binh", "ws:room:a", "ws:client:b", "ws:broadcast"] {
        say(&bus, channel, "x").await;
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
    listener.release(&["ws:user:an"]);
    say(&bus, "ws:user:an", "still").await;
    assert_eq!(listener.message().await, heard("ws:user:an", "still"));
}

#[tokio::test]
async fn a_server_that_comes_back_is_subscribed_to_again() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    // More than fit in one command.
    let names: Vec<String> = (0..2500).map(|n| format!("c{n}")).collect();
    listener.channels.acquire(names).await.unwrap();
    say(&bus, "c0", "before").await;
    assert_eq!(listener.message().await, heard("c0", "before"));

    server.stop().await;
    assert!(matches!(listener.next().await, Event::Lost { .. }));
    assert!(bus.publish(&[publication("c0", "nobody there")]).await.is_err());
    // Asked for while the server is away, confirmed when it is back.
    let channels = Arc::clone(&listener.channels);
    let late = tokio::spawn(async move { channels.acquire(vec!["late".to_owned()]).await });
    server.start().await;
    assert_eq!(listener.next().await, Event::Restored);
    timeout(SOON, late).await.expect("never confirmed").unwrap().unwrap();
    for channel in ["c0", "c2499", "late"] {
        say(&bus, channel, "after").await;
        assert_eq!(listener.message().await, heard(channel, "after"));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    server.pause();
    assert!(matches!(listener.next().await, Event::Lost { .. }));
    assert!(matches!(bus.publish(&[publication("a", "x")]).await, Err(BusError::Unreachable(_))));
    server.resume();
    assert_eq!(listener.next().await, Event::Restored);
}

#[tokio::test]
async fn a_server_that_is_missing_at_the_start_is_waited_for() {
    require!(Redis);
    let server = Redis::reserved();
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let (channels, events) = bus.subscribe();
    let mut listener = Listener { channels, events, heard: Default::default() };
    assert!(matches!(listener.next().await, Event::Lost { .. }));
    server.start().await;
    assert_eq!(listener.next().await, Event::Restored);
    listener.acquire(&["a"]).await;
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}

#[test]
fn an_address_that_is_none_is_refused_and_never_shown() {
    for url in ["", "http://127.0.0.1", "127.0.0.1:6379"] {
        assert!(matches!(RedisBus::new(url, Mode::Exact), Err(BusError::Address(_))), "{url}");
    }
    let bus = RedisBus::new("redis://:secret@127.0.0.1:1", Mode::Exact).unwrap();
    assert!(!format!("{bus:?}").contains("secret"));
}
