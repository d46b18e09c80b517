//! A Redis Cluster.

use std::{process::Command, time::Duration};

use super::{Certificates, Redis};
use crate::{Server, eventually, free_port, program::find_program};

const FORM: Duration = Duration::from_secs(60);
/// What 16384 slots are shared out in.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// Of a cluster that was launched with one.
const PASSWORD: &str = "s/e:c@ret";
const PASSWORD_IN_URL: &str = "s%2Fe%3Ac%40ret";
/// How long a master may be silent before it is replaced. Long enough for a machine that is busy.
const NODE_TIMEOUT_MS: &str = "3000";

/// Three masters, each with a third of the slots, and a replica of each where a test asks for them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    replicas: Vec<Redis>,
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
    /// Masters alone. Returns once every node knows all others and all slots are served.
    pub async fn launch() -> RedisCluster {
        RedisCluster::launch_all(|node| node).await
    }

    /// Masters alone, which speak TLS, to each other, too, and want a password. A test asks for it with
    /// `require!(RedisTls)`.
    pub async fn launch_with_tls(certificates: &Certificates) -> RedisCluster {
        RedisCluster::launch_all(|mut node| {
            node.arguments.extend(["--tls-cluster", "yes", "--requirepass", PASSWORD].map(str::to_owned));
            node.password = Some(PASSWORD.to_owned());
            node.with_tls(certificates)
        })
        .await
    }

    /// Each master has a replica, which replaces it some seconds after it has died.
    pub async fn launch_with_replicas() -> RedisCluster {
        // Replicas may replace a master however long ago they have heard from it.
        let options = ["--cluster-node-timeout", NODE_TIMEOUT_MS, "--cluster-replica-validity-factor", "0"];
        let with_options = |mut node: Redis| {
            node.arguments.extend(options.map(str::to_owned));
            node.arguments.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
            node
        };
        let mut cluster = RedisCluster::launch_all(with_options).await;
        for master in &cluster.nodes {
            let (replica, bus_port) = member(with_options);
            replica.start().await;
            let port = replica.port().to_string();
            master.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]).await.unwrap();
            let id = id(master).await;
            let words = ["CLUSTER", "REPLICATE", &id];
            // Refused until it has met its master.
            eventually(FORM, || replica.command(&words)).await;
            cluster.replicas.push(replica);
        }
        for node in cluster.nodes.iter().chain(&cluster.replicas) {
            eventually(FORM, || is_formed(node, cluster.replicas.len())).await;
        }
        for replica in &cluster.replicas {
            eventually(FORM, || in_step(replica)).await;
        }
        cluster
    }

    async fn launch_all(with_options: impl Fn(Redis) -> Redis) -> RedisCluster {
        let mut nodes = Vec::new();
        let mut bus_ports = Vec::new();
        for (first, last) in SLOTS {
            let (node, bus_port) = member(&with_options);
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
            let port = node.service_port().to_string();
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, bus_port]).await.unwrap();
        }
        for node in &nodes {
            eventually(FORM, || is_formed(node, 0)).await;
        }
        RedisCluster { nodes, replicas: Vec::new() }
    }

    /// The masters, as they were at the start.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// What replicated them at the start, in the same order.
    pub fn replicas(&self) -> &[Redis] {
        &self.replicas
    }

    /// Who replicated this master at the start.
    pub fn replica_of(&self, master: &Redis) -> &Redis {
        let index = self.nodes.iter().position(|node| node.port() == master.port());
        &self.replicas[index.expect("a master of this cluster")]
    }

    /// All nodes that were masters at the start, so that a client may use any.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.service_port())).collect();
        let scheme = if self.nodes[0].tls_port.is_some() { "rediss" } else { "redis" };
        let credentials = self.nodes[0].password.as_ref().map_or_else(String::new, |_| format!(":{PASSWORD_IN_URL}@"));
        format!("{scheme}-cluster://{credentials}{}", nodes.join(","))
    }

    /// The same for sharded pub/sub.
    pub fn sharded_url(&self) -> String {
        format!("{}?pubsub=sharded", self.url())
    }

    pub async fn slot(&self, channel: &str) -> u16 {
        self.nodes[0].command(&["CLUSTER", "KEYSLOT", channel]).await.unwrap()[0].parse().unwrap()
    }

    /// Which of the first masters has the slot of `channel` before any slot was moved.
    pub async fn first_owner(&self, channel: &str) -> &Redis {
        let slot = self.slot(channel).await;
        let owner = SLOTS.iter().position(|(_, last)| slot <= last.parse().unwrap()).expect("one of the ranges");
        &self.nodes[owner]
    }

    /// Moves an empty slot as `redis-cli --cluster reshard` does.
    pub async fn migrate(&self, slot: u16, from: &Redis, to: &Redis) {
        let (slot, source, target) = (slot.to_string(), id(from).await, id(to).await);
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await.unwrap();
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await.unwrap();
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await.unwrap();
        }
    }
}

/// A node of its own so far, and the port of its bus.
fn member(with_options: impl Fn(Redis) -> Redis) -> (Redis, String) {
    let bus_port = free_port().to_string();
    (with_options(Redis::with(&["--cluster-enabled", "yes", "--cluster-port", &bus_port])), bus_port)
}

async fn id(node: &Redis) -> String {
    node.command(&["CLUSTER", "MYID"]).await.unwrap().concat()
}

async fn is_formed(node: &Redis, replicas: usize) -> Result<(), String> {
    let info = node.command(&["CLUSTER", "INFO"]).await?.concat();
    let nodes = node.command(&["CLUSTER", "NODES"]).await?.concat();
    let connected = nodes.matches(" connected").count();
    let is_known = connected == SLOTS.len() + replicas && nodes.matches("slave ").count() == replicas;
    if info.contains("cluster_state:ok") && is_known { Ok(()) } else { Err(format!("{info}\n{nodes}")) }
}

async fn in_step(replica: &Redis) -> Result<(), String> {
    let info = replica.command(&["INFO", "replication"]).await?.concat();
    if info.contains("master_link_status:up") { Ok(()) } else { Err(info) }
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

    #[tokio::test]
    async fn a_replica_takes_over() {
        require!(RedisCluster);
        let cluster = RedisCluster::launch_with_replicas().await;
        cluster.nodes()[1].stop().await;
        eventually(FORM, || async {
            let role = cluster.replicas()[1].command(&["ROLE"]).await?;
            if role[0] == "master" { Ok(()) } else { Err(role.join(" ")) }
        })
        .await;
    }

    #[tokio::test]
    async fn a_slot_moves() {
        require!(RedisCluster);
        let cluster = RedisCluster::launch().await;
        let from = cluster.first_owner("foo").await;
        let to = cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
        cluster.migrate(cluster.slot("foo").await, from, to).await;
        assert_eq!(to.command(&["SET", "foo", "1"]).await.unwrap(), ["OK"]);
        assert!(from.command(&["GET", "foo"]).await.unwrap_err().starts_with("MOVED 12182 "));
    }
}
