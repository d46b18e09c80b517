//! Sharded pub/sub of a Redis Cluster.

mod failures;
mod moves;
mod order;

use signal_bus::{Bus, BusError, Mode, redis::RedisBus};
use signal_harness::{Redis, RedisCluster, require};

use crate::{
    behaviour::behaves,
    listener::{Listener, heard, say},
};

fn sharded(cluster: &RedisCluster) -> RedisBus {
    RedisBus::new(&cluster.sharded_url(), Mode::Exact).unwrap()
}

#[tokio::test]
async fn shards_behave() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    behaves(&sharded(&cluster)).await;
}

#[tokio::test]
async fn any_name_has_its_slot() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    let long = "x".repeat(5000);
    let names = [
        "ws:room:{a}b",
        "ws:room:{b}a",
        "ws:room:{}",
        "ws:room:{}{a}",
        "ws:room:}{",
        "ws:room:{",
        "ws:room:a}{b}",
        "{",
        "ws:room:\r\n*1",
        "ws:room: ",
        "ws:room:ü🙂{ü}",
        "",
        "\0",
        &long,
    ];
    // One after the other, and then all at once, to the slots that Redis says.
    for name in names {
        listener.acquire(&[name]).await;
    }
    let publications: Vec<_> = names.iter().map(|name| crate::listener::publication(name, "x")).collect();
    for name in names {
        say(&bus, name, "alone").await;
        assert_eq!(listener.message().await, heard(name, "alone"));
    }
    bus.publish(&publications).await.unwrap();
    let mut together = Vec::new();
    for _ in names {
        together.push(listener.message().await.0);
    }
    together.sort();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(together, expected);
    assert_eq!(listener.held(), names.len());

    listener.release(&names);
    listener.acquire(&["end"]).await;
    let mut subscribed = Vec::new();
    for node in cluster.nodes() {
        subscribed.extend(node.command(&["PUBSUB", "SHARDCHANNELS"]).await.unwrap());
    }
    assert_eq!(subscribed, ["end"]);
}

/// How many messages `node` has passed on to other nodes.
async fn passed_on(node: &Redis) -> u64 {
    let info = node.command(&["CLUSTER", "INFO"]).await.unwrap().concat();
    let count =
        |line: &str| line.strip_prefix("cluster_stats_messages_publish")?.split_once("_sent:")?.1.parse::<u64>().ok();
    info.lines().filter_map(count).sum::<u64>()
}

async fn subscriptions(node: &Redis, channel: &str) -> String {
    node.command(&["PUBSUB", "SHARDNUMSUB", channel]).await.unwrap()[1].clone()
}

#[tokio::test]
async fn a_message_is_read_by_its_shard_alone() {
    const MESSAGES: u64 = 100;
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let classic = RedisBus::new(&cluster.url(), Mode::Exact).unwrap();
    for (bus, others_read) in [(sharded(&cluster), 0), (classic, 2)] {
        let mut listener = Listener::open(&bus).await;
        listener.acquire(&["a"]).await;
        let before = total(&cluster).await;
        for n in 0..MESSAGES {
            say(&bus, "a", &n.to_string()).await;
            listener.message().await;
        }
        assert_eq!(total(&cluster).await - before, others_read * MESSAGES);
        if others_read == 0 {
            let owner = cluster.first_owner("a").await;
            for node in cluster.nodes() {
                let expected = if node.port() == owner.port() { "1" } else { "0" };
                assert_eq!(subscriptions(node, "a").await, expected);
            }
        }
    }
}

async fn total(cluster: &RedisCluster) -> u64 {
    let mut total = 0;
    for node in cluster.nodes() {
        total += passed_on(node).await;
    }
    total
}

#[test]
fn patterns_are_refused_by_both_names() {
    let refused = RedisBus::new("redis-cluster://a?pubsub=sharded", Mode::Pattern).unwrap_err();
    assert!(matches!(&refused, BusError::Address(_)));
    for name in ["pubsub=sharded", "SIGNAL_BUS_SUBSCRIPTION=pattern"] {
        assert!(refused.to_string().contains(name), "{refused}");
    }
}
