//! Sentinels: whoever is the master is followed.

use signal_bus::{Bus, BusError, Mode, redis::RedisBus};
use signal_harness::{Redis, RedisSentinel, eventually, require};

use crate::{
    behaviour::behaves,
    listener::{AT_LAST, Listener, SOON, heard, publication, say},
};

fn bus(redis: &RedisSentinel) -> RedisBus {
    RedisBus::new(&redis.url(), Mode::Exact).unwrap()
}

#[tokio::test]
async fn a_master_that_dies_is_followed_by_its_replica() {
    require!(RedisSentinel);
    let redis = RedisSentinel::launch().await;
    let bus = bus(&redis);
    behaves(&bus).await;
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a", "b"]).await;

    // One sentinel alone fails nothing over.
    let [missing, late, _] = redis.sentinels() else { panic!("three sentinels") };
    missing.stop().await;
    late.stop().await;
    let first = redis.master().await;
    first.stop().await;
    let reason = listener.lost().await;
    assert!(reason.starts_with(&format!("Redis at 127.0.0.1:{}: ", first.port())), "{reason}");
    let refused = bus.publish(&[publication("a", "too soon")]).await.unwrap_err();
    let BusError::Unreachable(reason) = &refused else { panic!("{refused}") };
    for said in ["no master \"mymaster\"", &missing.port().to_string(), &first.port().to_string()] {
        assert!(reason.contains(said), "{reason}");
    }
    assert!(!reason.contains(redis.password()), "{reason}");

    // The first that would be asked is still missing.
    late.start().await;
    listener.restored().await;
    for channel in ["a", "b"] {
        say(&bus, channel, "after").await;
        assert_eq!(listener.message().await, heard(channel, "after"));
    }
    // Sentinels hear of each other's decisions when they next talk.
    eventually(SOON, || async {
        let master = redis.master().await.port();
        if master == first.port() { Err(master) } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn a_master_that_is_deposed_is_left() {
    require!(RedisSentinel);
    let redis = RedisSentinel::launch().await;
    let old = bus(&redis);
    let mut listener = Listener::open(&old).await;
    listener.acquire(&["a"]).await;
    say(&old, "a", "before").await;
    assert_eq!(listener.message().await, heard("a", "before"));

    // It goes on serving who is connected, who would hear and say nothing any more. Told to become a replica it would
    // cut them off, some ten seconds later: it is kept from that.
    let first = redis.master().await;
    first.command(&["ACL", "SETUSER", "default", "-slaveof", "-replicaof"]).await.unwrap();
    let first = first.port();
    redis.failover().await;
    let reason = listener.lost().await;
    let second = redis.master().await.port();
    let expected = format!("Redis at 127.0.0.1:{first}: it is no longer the master, which is at 127.0.0.1:{second}");
    assert_eq!(reason, expected);
    listener.restored().await;
    let new = bus(&redis);
    say(&new, "a", "somebody new").await;
    assert_eq!(listener.message().await, heard("a", "somebody new"));
    // The publishing connection moves, too.
    eventually(AT_LAST, || async {
        old.publish(&[publication("a", "somebody old")]).await.unwrap();
        let clients = redis.master().await.command(&["CLIENT", "LIST"]).await?.concat();
        // Sentinels publish, too, and give their connections names.
        let publishes = |client: &&str| client.contains(" name= ") && client.contains(" cmd=publish ");
        let publishers = clients.lines().filter(publishes).count();
        if publishers == 2 { Ok(()) } else { Err(clients) }
    })
    .await;
    assert_eq!(listener.message().await, heard("a", "somebody old"));
}

#[tokio::test]
async fn what_is_no_sentinel_is_named() {
    require!(Redis);
    let server = Redis::launch().await;
    let url = format!("redis-sentinel://127.0.0.1:{}/mymaster", server.port());
    let bus = RedisBus::new(&url, Mode::Exact).unwrap();
    let reason = Listener::begin(&bus).lost().await;
    let expected = format!("no master \"mymaster\": sentinel at 127.0.0.1:{}: ", server.port());
    assert!(reason.starts_with(&expected), "{reason}");
}
