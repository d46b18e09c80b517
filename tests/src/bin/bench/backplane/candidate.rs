//! The backplanes that are measured.

use std::{any::Any, sync::Arc};

use anyhow::{Context, ensure};
use signal_bus::{Bus, Mode, nats::NatsBus, redis::RedisBus};
use signal_harness::{Nats, NatsCluster, Redis, RedisCluster, Server};
use signal_tests::cpu::Cpu;

use crate::{Options, report::progress};

pub(crate) struct Candidate {
    /// For programs.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) bus: Arc<dyn Bus>,
    pids: Vec<u32>,
    /// Stopped with this.
    _servers: Box<dyn Any + Send + Sync>,
}

/// Those whose servers are installed.
pub(crate) async fn launch_all(options: &Options) -> anyhow::Result<Vec<Candidate>> {
    ensure!(Redis::available().is_ok(), "the bench needs redis-server on the PATH");
    let mut candidates = vec![redis().await?];
    match RedisCluster::available() {
        Ok(()) => candidates.extend([cluster_classic().await?, cluster_sharded().await?]),
        Err(missing) => {
            // Whoever wants all that can be had gets the rest.
            ensure!(options.only.is_empty(), "{missing}");
            progress(&format!("the backplane is not measured on a cluster: {missing}"));
        }
    }
    match Nats::available() {
        Ok(()) => candidates.extend([nats().await?, nats_cluster().await?]),
        Err(missing) => {
            ensure!(options.only.is_empty(), "{missing}");
            progress(&format!("the backplane is not measured on NATS: {missing}"));
        }
    }
    Ok(candidates)
}

async fn nats() -> anyhow::Result<Candidate> {
    let server = Nats::launch().await;
    let bus = on_nats(&server.url())?;
    Ok(Candidate { id: "nats", title: "one NATS server", bus, pids: vec![server.pid()], _servers: Box::new(server) })
}

async fn nats_cluster() -> anyhow::Result<Candidate> {
    let cluster = NatsCluster::launch().await;
    let bus = on_nats(&cluster.url())?;
    let pids = cluster.servers().iter().map(|server| server.pid()).collect();
    Ok(Candidate { id: "nats_cluster", title: "NATS cluster of 3", bus, pids, _servers: Box::new(cluster) })
}

fn on_nats(url: &str) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(Arc::new(NatsBus::new(url, Mode::Exact).context("the harness has valid addresses")?))
}

async fn redis() -> anyhow::Result<Candidate> {
    let server = Redis::launch().await;
    let bus = on_redis(&server.url())?;
    Ok(Candidate { id: "redis", title: "one Redis", bus, pids: vec![server.pid()], _servers: Box::new(server) })
}

async fn cluster_classic() -> anyhow::Result<Candidate> {
    let cluster = RedisCluster::launch().await;
    let bus = on_redis(&cluster.url())?;
    Ok(on_cluster("cluster_classic", "Redis Cluster of 3, classic", bus, cluster))
}

async fn cluster_sharded() -> anyhow::Result<Candidate> {
    let cluster = RedisCluster::launch().await;
    let bus = on_redis(&cluster.sharded_url())?;
    Ok(on_cluster("cluster_sharded", "Redis Cluster of 3, sharded", bus, cluster))
}

fn on_cluster(id: &'static str, title: &'static str, bus: Arc<dyn Bus>, cluster: RedisCluster) -> Candidate {
    let pids = cluster.nodes().iter().map(|node| node.pid()).collect();
    Candidate { id, title, bus, pids, _servers: Box::new(cluster) }
}

fn on_redis(url: &str) -> anyhow::Result<Arc<dyn Bus>> {
    Ok(Arc::new(RedisBus::new(url, Mode::Exact).context("the harness has valid addresses")?))
}

impl Candidate {
    /// Of each server so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Vec<Cpu>> {
        self.pids.iter().map(|pid| Cpu::of(*pid)).collect()
    }

    /// Resident memory of all servers.
    pub(crate) fn rss_kib(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        for pid in &self.pids {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("a server is gone")?;
            let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_ascii_whitespace().next());
            total += kib.context("a server has no memory")?.parse::<f64>()?;
        }
        Ok(total)
    }
}
