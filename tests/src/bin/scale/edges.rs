//! One, two and four edges with the same people and the same traffic: what each of them reads, and what all of it costs.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use signal_harness::{Issuer, Redis, Service, eventually};
use signal_tests::{capacity::tables::Table, cpu::Cpu, tap::Tap};

use crate::{
    Options, WITHIN,
    crowd::Crowd,
    edge, envelopes_read, progress,
    publisher::{Kind, Published, Publisher, room},
};

const ROOM_SIZE: usize = 20;
/// Publications a second.
const TO_ROOMS: usize = 150;
const TO_EVERYBODY: usize = 5;
const LENGTH: Duration = Duration::from_secs(5);
const FLOOD: usize = 40_000;

/// One kind of traffic through so many edges.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    edges: usize,
    traffic: String,
    publications: u64,
    messages: u64,
    messages_per_second: f64,
    /// Of all publications, what the edge read that read most; the same of their bytes, and of all that edges have
    /// read, the bytes of one edge.
    envelope_share: f64,
    byte_share: f64,
    bytes_read_per_edge: u64,
    /// Of all edges together, for each message to a client.
    cpu_us_per_message: f64,
    redis_cpu_us_per_publication: f64,
}

struct Fleet {
    redis: Redis,
    _issuer: Issuer,
    edges: Vec<(Tap, Service)>,
    crowd: Crowd,
}

pub(crate) async fn measure(count: usize, options: &Options) -> anyhow::Result<Vec<Measured>> {
    progress(&format!("{count} edges with {} clients", options.clients));
    let fleet = Fleet::up(count, options.clients).await?;
    let mut publisher = Publisher::new(&fleet.redis.url(), &fleet.crowd, ROOM_SIZE).await?;
    // Once for the caches, the allocator and Redis' buffers.
    publisher.flood(&fleet.crowd, FLOOD / 10).await?;
    let mut measured = Vec::new();
    for (kind, rate, traffic) in [
        (Kind::Person, options.rate, format!("to people, {} a second", options.rate)),
        (Kind::Room, TO_ROOMS, format!("to rooms of {ROOM_SIZE}, {TO_ROOMS} a second")),
        (Kind::Everybody, TO_EVERYBODY, format!("to everybody, {TO_EVERYBODY} a second")),
    ] {
        let before = fleet.look().await?;
        let published = publisher.paced(&fleet.crowd, kind, rate, LENGTH).await?;
        measured.push(fleet.compare(traffic, &before, published).await?);
    }
    let before = fleet.look().await?;
    let published = publisher.flood(&fleet.crowd, FLOOD).await?;
    measured.push(fleet.compare("to people, as fast as it goes".to_owned(), &before, published).await?);
    Ok(measured)
}

/// What each edge has read, what all of them and Redis have spent, since they began.
struct Look {
    envelopes: Vec<u64>,
    bytes: Vec<u64>,
    cpu: Cpu,
    redis_us: f64,
}

impl Fleet {
    async fn up(count: usize, clients: usize) -> anyhow::Result<Self> {
        let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
        let (mut edges, mut crowd) = (Vec::new(), Crowd::default());
        for number in 0..count {
            let tap = Tap::before(([127, 0, 0, 1], redis.port()).into()).await?;
            let edge = edge(&redis, &issuer).env("SIGNAL_REDIS_URL", format!("redis://{}", tap.address())).spawn();
            edge.wait_ready(WITHIN).await;
            let people = (0..clients / count).map(|person| issuer.token(&format!("at-{number}-{person}")));
            crowd.join(edge.http_addr(), &people.collect::<Vec<_>>()).await?;
            edges.push((tap, edge));
        }
        let rooms = crowd.clients.len() / ROOM_SIZE;
        ensure!(rooms * ROOM_SIZE == crowd.clients.len(), "{clients} clients are no rooms of {ROOM_SIZE} each");
        ensure!(clients / count >= rooms, "not every edge would hold every room");
        // Members of each room are on all edges.
        crowd.join_rooms(|client| room(client % rooms)).await?;
        let fleet = Self { redis, _issuer: issuer, edges, crowd };
        eventually(WITHIN, || async {
            let subscribers = fleet.subscribers(rooms).await?;
            let wanted = rooms * count;
            if subscribers == wanted { Ok(()) } else { Err(format!("{subscribers} of {wanted} subscriptions")) }
        })
        .await;
        Ok(fleet)
    }

    /// Edges that hear rooms, counted once for each room.
    async fn subscribers(&self, rooms: usize) -> Result<usize, String> {
        let channels: Vec<String> = (0..rooms).map(|number| format!("ws:room:{}", room(number))).collect();
        let words: Vec<&str> = ["PUBSUB", "NUMSUB"].into_iter().chain(channels.iter().map(String::as_str)).collect();
        let answer = self.redis.command(&words).await?;
        Ok(answer.iter().skip(1).step_by(2).filter_map(|count| count.parse::<usize>().ok()).sum())
    }

    async fn look(&self) -> anyhow::Result<Look> {
        let mut envelopes = Vec::new();
        for (_, edge) in &self.edges {
            envelopes.push(envelopes_read(edge).await);
        }
        let bytes = self.edges.iter().map(|(tap, _)| tap.from_server()).collect();
        let cpu = self.edges.iter().map(|(_, edge)| Cpu::of(edge.pid())).sum::<anyhow::Result<Cpu>>()?;
        Ok(Look { envelopes, bytes, cpu, redis_us: redis_cpu_us(&self.redis).await? })
    }

    async fn compare(&self, traffic: String, before: &Look, published: Published) -> anyhow::Result<Measured> {
        let after = self.look().await?;
        let Published { publications, messages, bytes, took } = published;
        let grown = |after: &[u64], before: &[u64]| -> Vec<u64> {
            after.iter().zip(before).map(|(after, before)| after - before).collect()
        };
        let most = |counts: &[u64]| counts.iter().copied().max().unwrap_or_default();
        let envelopes = grown(&after.envelopes, &before.envelopes);
        let read = grown(&after.bytes, &before.bytes);
        Ok(Measured {
            edges: self.edges.len(),
            traffic,
            publications,
            messages,
            messages_per_second: messages as f64 / took.as_secs_f64(),
            envelope_share: most(&envelopes) as f64 / publications as f64,
            byte_share: most(&read) as f64 / bytes as f64,
            bytes_read_per_edge: read.iter().sum::<u64>() / read.len() as u64,
            cpu_us_per_message: (after.cpu - before.cpu).total_us() / messages as f64,
            redis_cpu_us_per_publication: (after.redis_us - before.redis_us) / publications as f64,
        })
    }
}

/// CPU time of a Redis since it began, by its own account.
pub(crate) async fn redis_cpu_us(redis: &Redis) -> anyhow::Result<f64> {
    let answer = redis.command(&["INFO", "cpu"]).await.map_err(anyhow::Error::msg)?.concat();
    let of = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    let seconds = of("used_cpu_sys:").zip(of("used_cpu_user:"));
    let (system, user) = seconds.ok_or_else(|| anyhow::anyhow!("Redis does not say what it spent: {answer}"))?;
    Ok((system + user) * 1e6)
}

pub(crate) fn table(measured: &[Measured]) -> String {
    let mut table = Table::new(&[
        "edges",
        "traffic",
        "messages/s",
        "publications read by one edge",
        "of the bytes",
        "edges' CPU µs per message",
        "Redis' CPU µs per publication",
    ]);
    for one in measured {
        table.row([
            one.edges.to_string(),
            one.traffic.clone(),
            format!("{:.0}", one.messages_per_second),
            format!("{:.0} %", 100.0 * one.envelope_share),
            format!("{:.0} %", 100.0 * one.byte_share),
            format!("{:.1}", one.cpu_us_per_message),
            // What Redis does by itself would be most of it.
            if one.publications < 1000 { "–".to_owned() } else { format!("{:.1}", one.redis_cpu_us_per_publication) },
        ]);
    }
    table.to_string()
}
