//! What a unit of each kind of work costs the process that does it, from its own CPU time and memory.

mod pipeline;

use std::{thread::available_parallelism, time::Duration};

use anyhow::ensure;
use signal_harness::{Issuer, Kafka, Postgres, Redis, Service, eventually};
use signal_tests::{capacity::costs::UnitCosts, cpu::Cpu};

use crate::{
    Options, WITHIN,
    crowd::Crowd,
    edge,
    edges::redis_cpu_us,
    kernel, progress,
    publisher::{Kind, Publisher, room},
};

const ROOM_SIZE: usize = 20;
const LENGTH: Duration = Duration::from_secs(5);
const FLOOD: usize = 100_000;
const BROADCASTS: usize = 100;
/// Publications that nobody hears.
const UNHEARD: usize = 50_000;
const UNHEARD_PORTION: usize = 500;
/// Memory that moves by less between two looks has settled.
const SETTLED_KIB: u64 = 64;
const HEARTBEATS: usize = 5;

pub(crate) async fn measure(options: &Options, postgres: &Postgres, kafka: &Kafka) -> anyhow::Result<UnitCosts> {
    let mut costs = UnitCosts {
        cores: available_parallelism().map_or(1, usize::from),
        kernel_socket_kib: kernel::socket_kib(),
        ..UnitCosts::default()
    };
    progress(&format!("{} silent clients", options.idle));
    connections(options, &mut costs).await?;
    progress("messages");
    messages(options, &mut costs).await?;
    progress("events of a few people and of many");
    pipeline::measure(postgres, kafka, &mut costs).await?;
    Ok(costs)
}

async fn connections(options: &Options, costs: &mut UnitCosts) -> anyhow::Result<()> {
    let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
    let edge = edge(&redis, &issuer).spawn();
    edge.wait_ready(WITHIN).await;
    let empty_kib = edge.rss_kib() as f64;
    costs.edge_mib = empty_kib / 1024.0;
    let tokens: Vec<String> = (0..options.idle).map(|number| issuer.token(&format!("idle-{number}"))).collect();
    let (redis_bytes, redis_us) = (redis_bytes(&redis).await?, redis_cpu_us(&redis).await?);
    let before = Cpu::of(edge.pid())?;
    let mut crowd = Crowd::default();
    crowd.join(edge.http_addr(), &tokens).await?;
    let each = |all: f64| all / options.idle as f64;
    costs.handshake_us = each((Cpu::of(edge.pid())? - before).total_us());
    costs.redis_subscribing_us = each(redis_cpu_us(&redis).await? - redis_us);
    costs.redis_connection_kib = each(self::redis_bytes(&redis).await? - redis_bytes) / 1024.0;
    costs.connection_kib = each(settled_kib(&edge).await - empty_kib);

    let before = Cpu::precise_us(edge.pid())?;
    // What is measured is that nothing happens.
    tokio::time::sleep(LENGTH).await;
    costs.idle_us_per_second = (Cpu::precise_us(edge.pid())? - before) / LENGTH.as_secs_f64();

    let heard = || async { edge.metrics().await.sum("signal_edge_inbound_messages_total", &[("kind", "heartbeat")]) };
    let (before, heard_before) = (Cpu::of(edge.pid())?, heard().await);
    for _ in 0..HEARTBEATS {
        crowd.beat().await?;
    }
    let all = (HEARTBEATS * options.idle) as f64;
    eventually(WITHIN, || async {
        let heard = heard().await - heard_before;
        if heard >= all { Ok(()) } else { Err(format!("{heard} of {all} heartbeats")) }
    })
    .await;
    costs.heartbeat_us = (Cpu::of(edge.pid())? - before).total_us() / all;
    Ok(())
}

async fn messages(options: &Options, costs: &mut UnitCosts) -> anyhow::Result<()> {
    let (redis, issuer) = tokio::join!(Redis::launch(), Issuer::launch());
    let edge = edge(&redis, &issuer).spawn();
    edge.wait_ready(WITHIN).await;
    let tokens: Vec<String> = (0..options.clients).map(|number| issuer.token(&format!("busy-{number}"))).collect();
    let mut crowd = Crowd::default();
    crowd.join(edge.http_addr(), &tokens).await?;
    let rooms = options.clients / ROOM_SIZE;
    ensure!(rooms * ROOM_SIZE == options.clients, "{} clients are no rooms of {ROOM_SIZE} each", options.clients);
    crowd.join_rooms(|client| room(client % rooms)).await?;
    eventually(WITHIN, || async {
        let last = format!("ws:room:{}", room(rooms - 1));
        let answer = redis.command(&["PUBSUB", "NUMSUB", &last]).await?;
        if answer.last().is_some_and(|count| count == "1") { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;

    let mut publisher = Publisher::new(&redis.url(), &crowd, ROOM_SIZE).await?;
    publisher.flood(&crowd, FLOOD / 10).await?;
    let spent = || Cpu::of(edge.pid());
    let (before, redis_before) = (spent()?, redis_cpu_us(&redis).await?);
    let published = publisher.paced(&crowd, Kind::Person, options.rate / 4, LENGTH).await?;
    costs.unicast_light_us = (spent()? - before).total_us() / published.messages as f64;
    costs.redis_light_us = (redis_cpu_us(&redis).await? - redis_before) / published.publications as f64;

    let (before, redis_before) = (spent()?, redis_cpu_us(&redis).await?);
    let published = publisher.flood(&crowd, FLOOD).await?;
    costs.unicast_us = (spent()? - before).total_us() / published.messages as f64;
    costs.publication_bytes = published.bytes as f64 / published.publications as f64;
    let redis_us = (redis_cpu_us(&redis).await? - redis_before) / published.publications as f64;

    let before = spent()?;
    let published = publisher.in_turn(&crowd, Kind::Room, options.rate).await?;
    costs.room_us = (spent()? - before).total_us() / published.messages as f64;
    costs.room_size = ROOM_SIZE;
    let before = spent()?;
    let published = publisher.in_turn(&crowd, Kind::Everybody, BROADCASTS).await?;
    costs.broadcast_us = (spent()? - before).total_us() / published.messages as f64;

    costs.redis_publication_us = unheard(&redis, costs.publication_bytes as usize).await?;
    costs.redis_delivery_us = (redis_us - costs.redis_publication_us).max(0.0);
    Ok(())
}

/// What Redis spends on a publication that nobody hears.
async fn unheard(redis: &Redis, bytes: usize) -> anyhow::Result<f64> {
    let sister = signal_tests::sister::Sister::connect(&redis.url()).await?;
    let payload = "x".repeat(bytes);
    let before = redis_cpu_us(redis).await?;
    for first in (0..UNHEARD).step_by(UNHEARD_PORTION) {
        let portion = first..first + UNHEARD_PORTION;
        sister.publish_all(portion.map(|number| (format!("ws:user:nobody-{number}"), payload.clone()))).await?;
    }
    Ok((redis_cpu_us(redis).await? - before) / UNHEARD as f64)
}

async fn redis_bytes(redis: &Redis) -> anyhow::Result<f64> {
    let answer = redis.command(&["INFO", "memory"]).await.map_err(anyhow::Error::msg)?.concat();
    let used = answer.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
    used.ok_or_else(|| anyhow::anyhow!("Redis does not say what it holds: {answer}"))
}

/// Handshakes leave garbage which the allocator gives back after a while; idle is what comes then.
async fn settled_kib(edge: &Service) -> f64 {
    let mut history = Vec::new();
    eventually(WITHIN, || {
        history.push(edge.rss_kib());
        // `eventually` looks every few milliseconds; a hundred looks are more than a second.
        let recent = history.iter().rev().take(100);
        let (low, high) = recent.fold((u64::MAX, 0), |(low, high), rss| (low.min(*rss), high.max(*rss)));
        let settled = history.len() >= 100 && high - low <= SETTLED_KIB;
        let last = history[history.len() - 1];
        std::future::ready(if settled { Ok(last as f64) } else { Err(format!("{low} to {high} KiB")) })
    })
    .await
}
