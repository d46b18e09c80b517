//! One Redis that goes away.

use std::{io::Write, time::Instant};

use signal_bus::{
    Bus, BusError,
    redis::{Mode, RedisBus},
};
use signal_harness::{Redis, require};

use crate::{
    behaviour::comes_back,
    listener::{Listener, heard, publication, say},
};

#[tokio::test]
async fn a_server_that_comes_back_is_subscribed_to_again() {
    require!(Redis);
    let server = Redis::launch().await;
    comes_back(&RedisBus::new(&server.url(), Mode::Exact).unwrap(), &server).await;
}

#[tokio::test]
async fn five_thousand_channels_are_back_soon() {
    require!(Redis);
    const CHANNELS: usize = 5000;
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    let names: Vec<String> = (0..CHANNELS).map(|n| format!("ws:user:{n}")).collect();
    listener.channels.acquire(names.clone()).await.unwrap();
    // Some time away, so that delays have grown: each try is refused at once.
    for _ in 0..3 {
        server.stop().await;
        listener.lost().await;
        for _ in 0..200 {
            let _ = bus.publish(&[publication("ws:user:0", "nobody there")]).await;
        }
        server.start().await;
        let accepting = Instant::now();
        listener.restored().await;
        let took = accepting.elapsed();
        // Not println!, which libtest swallows when a test passes.
        let line = format!("\nmeasured: {CHANNELS} channels subscribed {took:.0?} after Redis accepted connections\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    let asked: Vec<&str> = ["PUBSUB", "NUMSUB"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let subscribers = server.command(&asked).await.unwrap();
    assert_eq!(subscribers.chunks(2).filter(|pair| pair[1] == "1").count(), CHANNELS);
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    server.pause();
    listener.lost().await;
    assert!(matches!(bus.publish(&[publication("a", "x")]).await, Err(BusError::Unreachable(_))));
    server.resume();
    listener.restored().await;
}

#[tokio::test]
async fn a_server_that_is_missing_at_the_start_is_waited_for() {
    require!(Redis);
    let server = Redis::reserved();
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::begin(&bus);
    listener.lost().await;
    server.start().await;
    listener.restored().await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_shown() {
    require!(Redis);
    let server = Redis::launch().await;
    server.command(&["CONFIG", "SET", "requirepass", "right"]).await.unwrap();
    let at = |password: &str| RedisBus::new(&format!("redis://:{password}@127.0.0.1:{}", server.port()), Mode::Exact);
    let bus = at("guessed").unwrap();
    let mut reasons = vec![Listener::begin(&bus).lost().await];
    reasons.push(bus.publish(&[publication("a", "x")]).await.unwrap_err().to_string());
    for reason in reasons {
        assert!(reason.contains(&format!("Redis at 127.0.0.1:{}", server.port())), "{reason}");
        assert!(reason.to_lowercase().contains("auth"), "{reason}");
        assert!(!reason.contains("guessed"), "{reason}");
    }
    let bus = at("right").unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}
