//! All backplanes held to one behaviour, and those on a network to what only servers can do.
#![allow(clippy::unwrap_used, reason = "a test that finds something missing has failed")]

mod behaviour;
mod cluster;
mod coming_and_going;
mod half_open;
mod listener;
mod nats;
mod outage;
mod pattern;
mod sentinel;
mod server;
mod tls;

use signal_bus::{BusError, Mode, memory::MemoryBus, nats::NatsBus, redis::RedisBus};

use crate::{
    behaviour::behaves,
    listener::{Listener, say},
};

#[tokio::test]
async fn memory() {
    behaves(&MemoryBus::new()).await;
}

#[tokio::test]
async fn a_dropped_subscription_hears_and_holds_nothing() {
    let bus = MemoryBus::new();
    let listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let channels = listener.close();
    say(&bus, "a", "nobody").await;
    assert!(matches!(channels.acquire(vec!["b".into()]).await, Err(BusError::Closed)));
}

#[test]
fn an_address_of_nats_that_is_none_is_refused_and_never_shown() {
    let refused = NatsBus::new("nats://:secret@a:1,b:x", Mode::Exact).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the backplane's address is not valid: credentials are user:password@ or token@, percent-encoded where they are \
         not plain UTF-8"
    );
    let bus = NatsBus::new("nats://secret@127.0.0.1:1", Mode::Exact).unwrap();
    assert!(!format!("{bus:?}").contains("secret"));
}

#[test]
fn an_address_that_is_none_is_refused_and_never_shown() {
    for url in ["", "http://127.0.0.1", "127.0.0.1:6379", "redis-cluster://", "redis-sentinel://a,b"] {
        assert!(matches!(RedisBus::new(url, Mode::Exact), Err(BusError::Address(_))), "{url}");
    }
    let refused = RedisBus::new("redis-cluster://:secret@a:1,b:x", Mode::Exact).unwrap_err().to_string();
    assert_eq!(refused, "the backplane's address is not valid: the port of host 2 is not a number from 1 to 65535");
    let bus = RedisBus::new("redis://:secret@127.0.0.1:1", Mode::Exact).unwrap();
    assert!(!format!("{bus:?}").contains("secret"));
}
