//! What holds of the order, and of a listener that is slow.

use std::{collections::HashMap, sync::Arc};

use signal_bus::Bus;
use signal_harness::{RedisCluster, eventually, require};
use tokio::task::JoinSet;

use super::sharded;
use crate::listener::{Listener, SOON, heard, publication, say};

#[tokio::test]
async fn each_channel_is_heard_in_its_order() {
    const CHANNELS: usize = 60;
    const ROUNDS: usize = 200;
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = Arc::new(sharded(&cluster));
    let mut listener = Listener::open(&*bus).await;
    let names: Vec<String> = (0..CHANNELS).map(|n| format!("ws:user:{n}")).collect();
    listener.channels.acquire(names.clone()).await.unwrap();

    // Three who publish to twenty channels each, so that every batch goes to all nodes, while other channels come and go.
    let mut publishing = JoinSet::new();
    for mine in names.chunks(CHANNELS / 3) {
        let (bus, mine, channels) = (Arc::clone(&bus), mine.to_vec(), Arc::clone(&listener.channels));
        publishing.spawn(async move {
            for round in 0..ROUNDS {
                let twice = (0..2).flat_map(|half| mine.iter().map(move |name| (name, 2 * round + half)));
                let batch: Vec<_> = twice.map(|(name, number)| publication(name, &number.to_string())).collect();
                bus.publish(&batch).await.unwrap();
                let passing = vec![format!("{}:{round}", mine[0])];
                channels.acquire(passing.clone()).await.unwrap();
                channels.release(passing);
            }
        });
    }
    let mut next: HashMap<String, usize> = HashMap::new();
    for _ in 0..CHANNELS * ROUNDS * 2 {
        let (channel, number) = listener.message().await;
        let expected = next.entry(channel.clone()).or_default();
        assert_eq!(number, expected.to_string(), "{channel}");
        *expected += 1;
    }
    while let Some(done) = publishing.join_next().await {
        done.unwrap();
    }
    assert!(next.values().all(|&count| count == 2 * ROUNDS) && next.len() == CHANNELS);
}

/// A flood waits in Redis, which has a limit to what may wait, and not in the memory of whoever listens.
#[tokio::test]
async fn what_is_not_read_waits_in_redis() {
    const MESSAGES: usize = 3000;
    const PAYLOAD: usize = 8 * 1024;
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let payload = |n: usize| format!("{n:0>PAYLOAD$}");
    for first in (0..MESSAGES).step_by(100) {
        let batch: Vec<_> = (first..first + 100).map(|n| publication("a", &payload(n))).collect();
        bus.publish(&batch).await.unwrap();
    }
    let owner = cluster.first_owner("a").await;
    let waiting = async || {
        let clients = owner.command(&["CLIENT", "LIST"]).await.unwrap().concat();
        let omem = |client: &str| client.split_once(" omem=")?.1.split(' ').next()?.parse::<usize>().ok();
        clients.lines().filter_map(omem).max().unwrap()
    };
    // The rest is in the kernel's buffers and in a queue of sixteen reads.
    eventually(SOON, || async {
        let bytes = waiting().await;
        if bytes > MESSAGES * PAYLOAD / 3 { Ok(()) } else { Err(format!("{bytes} bytes wait in Redis")) }
    })
    .await;
    for n in 0..MESSAGES {
        assert_eq!(listener.message().await, heard("a", &payload(n)));
    }
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}
