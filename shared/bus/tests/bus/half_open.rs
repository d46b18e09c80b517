//! Connections that are open and carry nothing: what no socket says of itself.

use std::time::Duration;

use signal_bus::{Bus, Mode, redis::RedisBus};
use signal_harness::{Chaos, Link, Redis, eventually, require};
use tokio::time::timeout;

use crate::listener::{AT_LAST, Listener, heard, publication, say};

async fn behind_chaos(server: &Redis) -> (Chaos, RedisBus) {
    let chaos = Chaos::before(([127, 0, 0, 1], server.port()).into());
    let bus = RedisBus::new(&format!("redis://{}", chaos.addr()), Mode::Exact).unwrap();
    (chaos, bus)
}

#[tokio::test]
async fn who_is_stranded_while_a_new_connection_would_do_takes_one() {
    require!(Redis);
    let server = Redis::launch().await;
    let (chaos, bus) = behind_chaos(&server).await;
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    say(&bus, "a", "before").await;
    assert_eq!(listener.message().await, heard("a", "before"));

    chaos.strand();
    // Nobody waits long for a publication: that they give up must not keep the connection.
    eventually(AT_LAST, || async {
        let published = timeout(Duration::from_millis(100), bus.publish(&[publication("b", "x")])).await;
        matches!(published, Ok(Ok(())))
    })
    .await;
    assert!(listener.lost().await.contains("ping"), "{:?}", chaos.open());
    listener.restored().await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

#[tokio::test]
async fn a_link_too_slow_to_subscribe_between_two_pings_is_not_taken_for_a_dead_one() {
    require!(Redis);
    const CHANNELS: usize = 16_000;
    let server = Redis::launch().await;
    let (chaos, bus) = behind_chaos(&server).await;
    let mut listener = Listener::open(&bus).await;
    listener.channels.acquire((0..CHANNELS).map(|n| format!("ws:user:{n:08}")).collect()).await.unwrap();

    // All confirmations together take longer than a ping may.
    chaos.set(Link { bytes_per_second: Some(100_000), ..Link::CLEAR });
    chaos.reset();
    listener.lost().await;
    listener.restored().await;
    assert_eq!(chaos.accepted(), 2, "it was given up meanwhile");
}
