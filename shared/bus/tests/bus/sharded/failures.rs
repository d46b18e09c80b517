//! Nodes that are away, hang, or refuse.

use std::sync::Arc;

use signal_bus::{Bus, Mode, redis::RedisBus};
use signal_harness::{Redis, RedisCluster, require};
use tokio::time::timeout;

use super::sharded;
use crate::listener::{Listener, SOON, heard, publication, say};

#[tokio::test]
async fn a_node_that_is_missing_at_the_start_is_waited_for() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let owner = cluster.first_owner("a").await;
    owner.stop().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    let channels = Arc::clone(&listener.channels);
    let waiting = tokio::spawn(async move { channels.acquire(vec!["a".to_owned()]).await });
    let reason = listener.lost().await;
    assert!(reason.starts_with(&format!("Redis at 127.0.0.1:{}: ", owner.port())), "{reason}");
    assert!(bus.publish(&[publication("a", "nobody there")]).await.is_err());
    assert!(!waiting.is_finished());
    owner.start().await;
    listener.restored().await;
    timeout(SOON, waiting).await.expect("never confirmed").unwrap().unwrap();
    say(&bus, "a", "x").await;
    assert_eq!(listener.message().await, heard("a", "x"));
}

#[tokio::test]
async fn any_node_that_is_there_will_do_to_begin_with() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let nobody = Redis::reserved().port();
    let url = format!("redis-cluster://127.0.0.1:{nobody},127.0.0.1:{}?pubsub=sharded", cluster.nodes()[2].port());
    let bus = RedisBus::new(&url, Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    for channel in ["a", "b", "c", "d", "e", "f"] {
        listener.acquire(&[channel]).await;
        say(&bus, channel, "x").await;
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
}

#[tokio::test]
async fn a_cluster_that_is_missing_at_the_start_is_named() {
    require!(RedisCluster);
    let nobody = Redis::reserved();
    let url = format!("redis-cluster://127.0.0.1:{}?pubsub=sharded", nobody.port());
    let bus = RedisBus::new(&url, Mode::Exact).unwrap();
    let reasons =
        [Listener::begin(&bus).lost().await, bus.publish(&[publication("a", "x")]).await.unwrap_err().to_string()];
    // It is there, and is no cluster.
    nobody.start().await;
    let alone = Listener::begin(&bus).lost().await;
    for reason in reasons.iter().chain([&alone]) {
        assert!(reason.contains(&format!("Redis at 127.0.0.1:{}: ", nobody.port())), "{reason}");
    }
    assert!(alone.contains("cluster support disabled"), "{alone}");
}

#[tokio::test]
async fn a_node_that_hangs_is_noticed() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let owner = cluster.first_owner("a").await;
    owner.pause();
    let reason = listener.lost().await;
    assert!(reason.contains(&format!("Redis at 127.0.0.1:{}: ", owner.port())), "{reason}");
    assert!(bus.publish(&[publication("a", "x")]).await.is_err());
    owner.resume();
    listener.restored().await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}

/// As in a deployment where nobody may do more than needed: the guide's own rules.
#[tokio::test]
async fn the_rights_of_the_guide_suffice_and_no_more() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let rules = "on >secret resetchannels &ws:* -@all +ssubscribe +sunsubscribe +spublish +ping \
                 +cluster|slots +cluster|nodes";
    for node in cluster.nodes() {
        let words: Vec<&str> = ["ACL", "SETUSER", "edge"].into_iter().chain(rules.split_whitespace()).collect();
        node.command(&words).await.unwrap();
    }
    let bus = RedisBus::new(&cluster.sharded_url().replace("://", "://edge:secret@"), Mode::Exact).unwrap();
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["ws:user:a", "ws:user:b", "ws:user:c", "ws:user:d"]).await;
    for channel in ["ws:user:a", "ws:user:b", "ws:user:c", "ws:user:d"] {
        say(&bus, channel, "x").await;
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
    let refused = bus.publish(&[publication("signal:control", "x")]).await.unwrap_err().to_string();
    assert!(refused.contains("NOPERM") || refused.contains("permission"), "{refused}");
    let channels = Arc::clone(&listener.channels);
    tokio::spawn(async move { channels.acquire(vec!["signal:control".to_owned()]).await });
    let reason = listener.lost().await;
    assert!(reason.contains("NOPERM") && !reason.contains("secret"), "{reason}");

    let wrong = RedisBus::new(&cluster.sharded_url().replace("://", "://edge:guessed@"), Mode::Exact).unwrap();
    let reason = Listener::begin(&wrong).lost().await;
    assert!(reason.contains("authentication failed") && !reason.contains("guessed"), "{reason}");
}
