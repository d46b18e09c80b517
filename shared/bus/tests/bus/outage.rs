//! One Redis that goes away.

use std::{io::Write, time::Instant};

use futures_util::future::join_all;
use signal_bus::{
    Bus, BusError,
    redis::{Mode, RedisBus},
};
use signal_harness::{Redis, require};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    behaviour::comes_back,
    listener::{AT_LAST, Listener, SOON, heard, publication, say},
};

#[tokio::test]
async fn a_server_that_comes_back_is_subscribed_to_again() {
    require!(Redis);
    let server = Redis::launch().await;
    comes_back(&RedisBus::new(&server.url(), Mode::Exact).unwrap(), &server).await;
}

/// Is somebody else at `port`, who hangs up on whoever calls.
async fn turn_away(port: u16, callers: usize) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for _ in 0..callers {
        drop(timeout(SOON, listener.accept()).await.expect("nobody tries").unwrap());
    }
}

#[tokio::test]
async fn a_crowd_does_not_wait_one_after_the_other() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bus = RedisBus::new(&format!("redis://{}", silent.local_addr().unwrap()), Mode::Exact).unwrap();
    let crowd = (0..200).map(|_| async { bus.publish(&[publication("a", "x")]).await.is_err() });
    let refused = timeout(AT_LAST, join_all(crowd)).await.expect("they queue");
    assert!(refused.into_iter().all(|refused| refused));
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
    for _ in 0..3 {
        server.stop().await;
        listener.lost().await;
        // So long that delays have grown as far as they do.
        turn_away(server.port(), 8).await;
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
