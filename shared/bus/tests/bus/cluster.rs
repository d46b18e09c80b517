//! A Redis Cluster: any node does for either end, and another when one dies.

use signal_bus::{Mode, redis::RedisBus};
use signal_harness::{Redis, RedisCluster, eventually, require};

use crate::{
    behaviour::behaves,
    listener::{Listener, SOON, heard, say},
};

fn bus(url: &str) -> RedisBus {
    RedisBus::new(url, Mode::Exact).unwrap()
}

/// The node that has a connection whose last command was `command`.
async fn node_with<'a>(cluster: &'a RedisCluster, command: &str) -> &'a Redis {
    eventually(SOON, || async {
        for node in cluster.nodes() {
            let Ok(clients) = node.command(&["CLIENT", "LIST"]).await else { continue };
            if clients.concat().contains(&format!(" cmd={command} ")) {
                return Some(node);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_cluster_behaves_and_outlives_a_node() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    behaves(&bus(&cluster.url())).await;

    // Said to one node, heard on another.
    let [here, there, _] = cluster.nodes() else { panic!("three nodes") };
    let at = |node: &Redis| bus(&format!("redis-cluster://127.0.0.1:{}", node.port()));
    let mut listener = Listener::open(&at(here)).await;
    listener.acquire(&["across"]).await;
    let there = at(there);
    for n in 0..100 {
        say(&there, "across", &n.to_string()).await;
    }
    for n in 0..100 {
        assert_eq!(listener.message().await, heard("across", &n.to_string()));
    }
    drop((listener, there));

    // The node that is listened to dies.
    let bus = bus(&cluster.url());
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["b"]).await;
    let first = node_with(&cluster, "subscribe").await;
    first.stop().await;
    let reason = listener.lost().await;
    assert!(reason.starts_with(&format!("Redis at 127.0.0.1:{}: ", first.port())), "{reason}");
    listener.restored().await;
    say(&bus, "b", "again").await;
    assert_eq!(listener.message().await, heard("b", "again"));
    first.start().await;

    // The node that is published to dies: nothing is refused, since another one takes it at once.
    let publishes_to = node_with(&cluster, "publish").await;
    let listens_to = node_with(&cluster, "subscribe").await;
    publishes_to.stop().await;
    if publishes_to.port() == listens_to.port() {
        listener.lost().await;
        listener.restored().await;
    }
    say(&bus, "b", "elsewhere").await;
    assert_eq!(listener.message().await, heard("b", "elsewhere"));
    // Whoever comes now begins anywhere, so that some meet the dead node first.
    for n in 0..10 {
        say(&self::bus(&cluster.url()), "b", &n.to_string()).await;
    }
    let mut said = Vec::new();
    for _ in 0..10 {
        said.push(listener.message().await.1.parse::<u32>().unwrap());
    }
    // Each came by a connection of its own.
    said.sort_unstable();
    assert_eq!(said, (0..10).collect::<Vec<_>>());
}
