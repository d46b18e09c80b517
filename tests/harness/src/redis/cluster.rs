//! A Redis Cluster.

use std::{process::Command, time::Duration};

use tokio::time::Instant;

use super::Redis;
use crate::{Server, eventually::until, free_port, program::find_program};

const FORM: Duration = Duration::from_secs(60);
/// What 16384 slots are shared out in.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Three masters without replicas, each with a third of the slots.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl Server for RedisCluster {
    const NAME: &'static str = "Redis Cluster";

    fn available() -> Result<(), String> {
        Redis::available()?;
        let program = find_program("redis-server").expect("found just now");
        let asked = Command::new(program).arg("--version").output();
        let output = asked.map_err(|error| format!("redis-server does not start: {error}"))?;
        // "Redis server v=7.0.15 sha=…"
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_once("v=").and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
        match version {
            Some(7..) => Ok(()),
            // Older ones cannot be told the port of their bus.
            _ => Err(format!("redis-server 7 is needed, this one is {}", text.trim())),
        }
    }
}

impl RedisCluster {
    /// Returns once every node knows all others and all slots are served.
    pub async fn launch() -> RedisCluster {
        let mut nodes = Vec::new();
        let mut bus_ports = Vec::new();
        for (first, last) in SLOTS {
            let bus_port = free_port().to_string();
            let node = Redis::with(&["--cluster-enabled", "yes", "--cluster-port", &bus_port]);
            node.start().await;
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await.unwrap();
            nodes.push(node);
            bus_ports.push(bus_port);
        }
        for (epoch, node) in (1..).zip(&nodes) {
            // Nodes that begin with different epochs need not first agree on them.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &format!("{epoch}")]).await.unwrap();
        }
        for (node, bus_port) in nodes.iter().zip(&bus_ports).skip(1) {
            let port = node.port().to_string();
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port]).await.unwrap();
        }
        let deadline = Instant::now() + FORM;
        for node in &nodes {
            if let Err(last) = until(deadline, &mut || is_formed(node)).await {
                panic!("the cluster does not form: {last}");
            }
        }
        RedisCluster { nodes }
    }

    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// All nodes, so that a client may use any.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

async fn is_formed(node: &Redis) -> Result<(), String> {
    let info = node.command(&["CLUSTER", "INFO"]).await?.concat();
    let nodes = node.command(&["CLUSTER", "NODES"]).await?.concat();
    let connected = nodes.matches(" connected").count();
    if info.contains("cluster_state:ok") && connected == SLOTS.len() { Ok(()) } else { Err(info) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[tokio::test]
    async fn slots_are_shared_out() {
        require!(RedisCluster);
        let cluster = RedisCluster::launch().await;
        let mut served = 0;
        for node in cluster.nodes() {
            // Either it serves the slot of "foo", 12182, or it says who does.
            match node.command(&["SET", "foo", "1"]).await {
                Ok(_) => served += 1,
                Err(moved) => assert!(moved.starts_with("MOVED 12182 127.0.0.1:"), "{moved}"),
            }
        }
        assert_eq!(served, 1);
    }
}
