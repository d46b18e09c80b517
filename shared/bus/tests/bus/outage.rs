//! One server that goes away.

use std::{io::Write, time::Instant};

use futures_util::future::join_all;
use signal_bus::{Bus, BusError, Mode, redis::RedisBus};
use signal_harness::{Redis, require};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    behaviour::comes_back,
    listener::{AT_LAST, Listener, SOON, heard, publication, say},
    server::{Backplane, on_each},
};

on_each!(
    a_server_that_comes_back_is_subscribed_to_again,
    a_crowd_does_not_wait_one_after_the_other,
    five_thousand_channels_are_back_soon,
    a_server_that_hangs_is_noticed,
    a_server_that_is_missing_at_the_start_is_waited_for,
);

async fn a_server_that_comes_back_is_subscribed_to_again<B: Backplane>() {
    let server = B::launch().await;
    comes_back(&*server.bus(Mode::Exact), &server).await;
}

/// Is somebody else at `port`, who hangs up on whoever calls.
async fn turn_away(port: u16, callers: usize) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for _ in 0..callers {
        drop(timeout(SOON, listener.accept()).await.expect("nobody tries").unwrap());
    }
}

async fn a_crowd_does_not_wait_one_after_the_other<B: Backplane>() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (scheme, _) =
        B::reserved().url().split_once("://").map(|(scheme, rest)| (scheme.to_owned(), rest.to_owned())).unwrap();
    let bus = B::bus_at(&format!("{scheme}://{}", silent.local_addr().unwrap()), Mode::Exact);
    let crowd = (0..200).map(|_| async { bus.publish(&[publication("a", "x")]).await.is_err() });
    let refused = timeout(AT_LAST, join_all(crowd)).await.expect("they queue");
    assert!(refused.into_iter().all(|refused| refused));
}

async fn five_thousand_channels_are_back_soon<B: Backplane>() {
    const CHANNELS: usize = 5000;
    let server = B::launch().await;
    let bus = server.bus(Mode::Exact);
    let mut listener = Listener::open(&*bus).await;
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
        let line =
            format!("\nmeasured: {CHANNELS} channels subscribed {took:.0?} after {} accepted connections\n", B::NAME);
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    let mut expected = names;
    expected.sort();
    assert!(server.subscribed().await == expected, "each is subscribed to once");
}

async fn a_server_that_hangs_is_noticed<B: Backplane>() {
    let server = B::launch().await;
    let bus = server.bus(Mode::Exact);
    let mut listener = Listener::open(&*bus).await;
    server.pause();
    listener.lost().await;
    assert!(matches!(bus.publish(&[publication("a", "x")]).await, Err(BusError::Unreachable(_))));
    server.resume();
    listener.restored().await;
}

async fn a_server_that_is_missing_at_the_start_is_waited_for<B: Backplane>() {
    let server = B::reserved();
    let bus = &*server.bus(Mode::Exact);
    let mut listener = Listener::begin(bus);
    listener.lost().await;
    server.start().await;
    listener.restored().await;
    listener.acquire(&["a"]).await;
    say(bus, "a", "x").await;
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

#[tokio::test]
async fn a_password_that_was_changed_is_named_although_something_else_came_first() {
    require!(Redis);
    let server = Redis::launch().await;
    let bus = RedisBus::new(&server.url(), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    // On one connection, which is let in already.
    let mut operator = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    operator.write_all(b"CONFIG SET requirepass changed\r\nCLIENT KILL TYPE pubsub\r\n").await.unwrap();
    let first = listener.lost().await;
    assert!(first.contains("closed"), "{first}");
    let then = listener.lost().await;
    assert!(then.contains("NOAUTH"), "{then}");
    operator.write_all(b"CONFIG SET requirepass ''\r\n").await.unwrap();
    listener.restored().await;
}
