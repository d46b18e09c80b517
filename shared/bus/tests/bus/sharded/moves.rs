//! Slots that move from node to node while somebody listens and somebody publishes.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use signal_bus::{Bus, Event, redis::RedisBus};
use signal_harness::{Redis, RedisCluster, eventually, require};
use tokio::task::JoinHandle;

use super::{sharded, subscriptions};
use crate::listener::{AT_LAST, Listener, heard, publication, say};

/// Says numbers on a channel, one after the other, until it is stopped. What is refused is counted as said, since it
/// may have been heard.
struct Talker {
    said: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Talker {
    fn begin(bus: &RedisBus, channel: &'static str) -> Self {
        let (said, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (bus, count, stopped) = (bus.clone(), Arc::clone(&said), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let _ = bus.publish(&[publication(channel, &number.to_string())]).await;
                count.store(number + 1, Ordering::Relaxed);
            }
        });
        Self { said, stop, task }
    }

    /// Until so many more were said.
    async fn goes_on(&self, more: usize) {
        let wanted = self.said.load(Ordering::Relaxed) + more;
        eventually(AT_LAST, || async {
            let said = self.said.load(Ordering::Relaxed);
            if said >= wanted { Ok(()) } else { Err(format!("{said} of {wanted}")) }
        })
        .await;
    }

    /// Returns how many were said.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.said.load(Ordering::Relaxed)
    }
}

/// What was heard while slots moved: numbers, and how many had been said when all was restored for the last time.
struct Hearing {
    numbers: Vec<usize>,
    restored_at: usize,
}

/// Listens until all is restored after an outage, and some more, and then until all is heard that `talker` has said
/// since: each once, whatever was missed before.
async fn nothing_is_missing(mut listener: Listener, talker: Talker) -> Hearing {
    let mut hearing = Hearing { numbers: Vec::new(), restored_at: usize::MAX };
    let mut lost = false;
    while hearing.restored_at == usize::MAX || talker.said.load(Ordering::Relaxed) < hearing.restored_at + 200 {
        match listener.next().await {
            Event::Lost { .. } => assert!(!std::mem::replace(&mut lost, true), "two outages"),
            // What is being said at this moment was perhaps said before.
            Event::Restored => hearing.restored_at = talker.said.load(Ordering::Relaxed) + 1,
            Event::Message(message) => hearing.hear(&message.payload),
        }
    }
    let said = talker.end().await;
    while !(hearing.restored_at..said).all(|number| hearing.numbers.contains(&number)) {
        hearing.hear(listener.message().await.1.as_bytes());
    }
    hearing
}

impl Hearing {
    fn hear(&mut self, payload: &[u8]) {
        let number = str::from_utf8(payload).unwrap().parse().unwrap();
        assert!(!self.numbers.contains(&number), "{number} is heard twice");
        self.numbers.push(number);
    }
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a", "{a}b", "elsewhere"]).await;
    let (slot, from) = (cluster.slot("a").await, cluster.first_owner("a").await);
    let to = cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
    cluster.migrate(slot, from, to).await;
    let reason = listener.lost().await;
    assert!(reason.contains(&from.port().to_string()) && reason.contains(&format!("slot {slot} ")), "{reason}");
    listener.restored().await;
    for (node, expected) in [(from, "0"), (to, "1")] {
        assert_eq!(subscriptions(node, "{a}b").await, expected);
    }
    // The publishing end still believes that it is where it was.
    for channel in ["a", "{a}b", "elsewhere"] {
        say(&bus, channel, "after").await;
        assert_eq!(listener.message().await, heard(channel, "after"));
    }
    listener.release(&["{a}b"]);
    listener.acquire(&["{a}c"]).await;
    assert_eq!(subscriptions(to, "{a}b").await, "0");
}

#[tokio::test]
async fn what_is_said_after_a_move_is_heard() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let talker = Talker::begin(&bus, "a");
    talker.goes_on(100).await;
    let (slot, from) = (cluster.slot("a").await, cluster.first_owner("a").await);
    let to = cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
    cluster.migrate(slot, from, to).await;
    let hearing = nothing_is_missing(listener, talker).await;
    assert!(hearing.numbers.is_sorted(), "{:?}", hearing.numbers);
}

#[tokio::test]
async fn many_moves_are_told_as_few() {
    const MOVES: usize = 100;
    require!(RedisCluster);
    let cluster = RedisCluster::launch().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    let first = &cluster.nodes()[0];
    // One channel in each of many slots of the first node.
    let mut moving: Vec<(u16, String)> = Vec::new();
    for n in 0.. {
        let channel = format!("c{n}");
        let slot = cluster.slot(&channel).await;
        if slot <= 5460 && moving.iter().all(|(other, _)| *other != slot) {
            moving.push((slot, channel));
        }
        if moving.len() == MOVES {
            break;
        }
    }
    listener.channels.acquire(moving.iter().map(|(_, channel)| channel.clone()).collect()).await.unwrap();
    for (slot, _) in &moving {
        cluster.migrate(*slot, first, &cluster.nodes()[1]).await;
    }
    let mut told = 0;
    loop {
        listener.lost().await;
        listener.restored().await;
        told += 1;
        let mut there = 0;
        for (_, channel) in &moving {
            there += usize::from(subscriptions(&cluster.nodes()[1], channel).await == "1");
        }
        if there == MOVES {
            break;
        }
    }
    assert!(told <= 10, "{told} outages");
    for (_, channel) in &moving {
        say(&bus, channel, "x").await;
        assert_eq!(listener.message().await, heard(channel, "x"));
    }
}

async fn is_master(node: &Redis) {
    eventually(AT_LAST, || async {
        let role = node.command(&["ROLE"]).await?;
        if role[0] == "master" { Ok(()) } else { Err(role.join(" ")) }
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_takes_over_is_followed() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch_with_replicas().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let owner = cluster.first_owner("a").await;
    let replica = cluster.replica_of(owner);
    let (other, survivor) = other_shard(&cluster, owner).await;
    listener.acquire(&[&other]).await;

    // The master dies.
    owner.stop().await;
    let reason = listener.lost().await;
    assert!(reason.starts_with(&format!("Redis at 127.0.0.1:{}: ", owner.port())), "{reason}");
    // The other shards go on meanwhile, for those who listen and for those who come.
    say(&bus, &other, "meanwhile").await;
    assert_eq!(listener.message().await, heard(&other, "meanwhile"));
    assert_eq!(subscriptions(survivor, &other).await, "1");
    let refused = bus.publish(&[publication("a", "too soon")]).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("127.0.0.1:{}", owner.port())), "{refused}");
    is_master(replica).await;
    listener.restored().await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));

    // It comes back as a replica, and takes over again while both run: whatever is said once that is told is heard.
    owner.start().await;
    eventually(AT_LAST, || async {
        let nodes = replica.command(&["CLUSTER", "NODES"]).await?.concat();
        let mut known = nodes.lines().filter(|line| line.contains(&format!(":{}@", owner.port())));
        if known.any(|line| line.contains(" slave ")) { Ok(()) } else { Err(nodes) }
    })
    .await;
    let talker = Talker::begin(&bus, "a");
    take_over(owner).await;
    // Not in order: what the old master still takes it passes on, and what the new one takes may overtake that.
    nothing_is_missing(listener, talker).await;
}

/// Makes a replica the master while both run.
async fn take_over(replica: &Redis) {
    // Redis gives up after 5 s, which a busy machine may need, and has then to be told again.
    let patience = Duration::from_secs(6);
    let asked: Cell<Option<Instant>> = Cell::new(None);
    eventually(AT_LAST, || async {
        if asked.get().is_none_or(|asked| asked.elapsed() > patience) {
            asked.set(Some(Instant::now()));
            replica.command(&["CLUSTER", "FAILOVER"]).await?;
        }
        let role = replica.command(&["ROLE"]).await?;
        if role[0] == "master" { Ok(()) } else { Err(role.join(" ")) }
    })
    .await;
}

/// A channel that another master serves than `owner`, and that master.
async fn other_shard<'a>(cluster: &'a RedisCluster, owner: &Redis) -> (String, &'a Redis) {
    for n in 0.. {
        let channel = format!("other{n}");
        let node = cluster.first_owner(&channel).await;
        if node.port() != owner.port() {
            return (channel, node);
        }
    }
    unreachable!("two of three slots are elsewhere")
}

/// A master that is cut off from the others goes on serving who is connected to it.
#[tokio::test]
async fn a_master_that_was_replaced_is_left() {
    require!(RedisCluster);
    let cluster = RedisCluster::launch_with_replicas().await;
    let bus = sharded(&cluster);
    let mut listener = Listener::open(&bus).await;
    listener.acquire(&["a"]).await;
    let owner = cluster.first_owner("a").await;
    let replica = cluster.replica_of(owner);
    // It forgets the others, and they it: it never learns that it is a master no longer.
    for node in cluster.nodes().iter().chain(cluster.replicas()) {
        if node.port() != owner.port() {
            let other = node.command(&["CLUSTER", "MYID"]).await.unwrap().concat();
            owner.command(&["CLUSTER", "FORGET", &other]).await.unwrap();
        }
    }
    replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]).await.unwrap();
    is_master(replica).await;
    listener.lost().await;
    listener.restored().await;
    eventually(Duration::from_secs(20), || async {
        let subscribed = subscriptions(replica, "a").await;
        if subscribed == "1" { Ok(()) } else { Err(subscribed) }
    })
    .await;
    say(&bus, "a", "after").await;
    assert_eq!(listener.message().await, heard("a", "after"));
}
