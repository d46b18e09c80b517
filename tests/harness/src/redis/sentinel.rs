//! A master, a replica, and sentinels that turn the one into the other.

use std::time::Duration;

use tokio::time::Instant;

use super::{Certificates, Redis, configuration, path};
use crate::{Server, eventually, eventually::until, free_port, scratch_dir};

/// One that is slow to look round pauses all failovers for 30 s (Redis's TILT mode), which a busy machine may provoke.
const WITHIN: Duration = Duration::from_secs(90);
const MASTER: &str = "mymaster";
/// Of the nodes; as in many deployments, the sentinels have none.
const PASSWORD: &str = "s/e:c@ret";
const PASSWORD_IN_URL: &str = "s%2Fe%3Ac%40ret";
const SENTINELS: usize = 3;

/// Two nodes and three sentinels, of which two suffice for a failover.
#[derive(Debug)]
pub struct RedisSentinel {
    nodes: [Redis; 2],
    sentinels: Vec<Redis>,
}

impl Server for RedisSentinel {
    const NAME: &'static str = "Redis Sentinel";

    fn available() -> Result<(), String> {
        Redis::available()
    }
}

impl RedisSentinel {
    pub async fn launch() -> RedisSentinel {
        RedisSentinel::launch_all(None).await
    }

    /// All speak TLS, to each other, too. A test asks for it with `require!(RedisTls)`.
    pub async fn launch_with_tls(certificates: &Certificates) -> RedisSentinel {
        RedisSentinel::launch_all(Some(certificates)).await
    }

    /// Returns once every sentinel knows the replica and the other sentinels.
    async fn launch_all(certificates: Option<&Certificates>) -> RedisSentinel {
        let master = node(&[], certificates);
        master.start().await;
        let replica = node(&["--replicaof", "127.0.0.1", &master.service_port().to_string()], certificates);
        replica.start().await;
        eventually(WITHIN, || in_step(&replica)).await;
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            let sentinel = sentinel(master.service_port(), certificates);
            sentinel.start().await;
            sentinels.push(sentinel);
        }
        let launched = RedisSentinel { nodes: [master, replica], sentinels };
        let deadline = Instant::now() + WITHIN;
        for sentinel in &launched.sentinels {
            if let Err(last) = until(deadline, &mut || is_ready(sentinel)).await {
                panic!("the sentinels do not find each other: {last}");
            }
        }
        launched
    }

    pub fn url(&self) -> String {
        let sentinels: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.service_port())).collect();
        let scheme = if self.sentinels[0].tls_port.is_some() { "rediss-sentinel" } else { "redis-sentinel" };
        format!("{scheme}://:{PASSWORD_IN_URL}@{}/{MASTER}", sentinels.join(","))
    }

    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Who the first sentinel that runs says is the master.
    pub async fn master(&self) -> &Redis {
        let port = eventually(WITHIN, || self.master_port()).await;
        self.nodes.iter().find(|node| node.service_port() == port).expect("one of the two")
    }

    /// Makes the replica the master while the master goes on serving who is connected to it, and returns once all
    /// sentinels that run agree.
    pub async fn failover(&self) {
        let before = self.master().await;
        // Refused while the replica's state is not known well enough.
        eventually(WITHIN, || self.sentinels[0].command(&["SENTINEL", "FAILOVER", MASTER])).await;
        self.wait_master_is_not(before).await;
    }

    pub async fn wait_master_is_not(&self, node: &Redis) {
        let port = node.service_port();
        for sentinel in &self.sentinels {
            eventually(WITHIN, || async {
                match named_by(sentinel).await {
                    Ok(named) if named == port => Err(format!("still {port}")),
                    // One that a test has stopped has no say.
                    _ => Ok(()),
                }
            })
            .await;
        }
    }

    async fn master_port(&self) -> Result<u16, String> {
        let mut last = String::new();
        for sentinel in &self.sentinels {
            match named_by(sentinel).await {
                Ok(port) => return Ok(port),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn named_by(sentinel: &Redis) -> Result<u16, String> {
    let answer = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await?;
    answer.get(1).and_then(|port| port.parse().ok()).ok_or_else(|| format!("{answer:?}"))
}

fn node(options: &[&str], certificates: Option<&Certificates>) -> Redis {
    // The first synchronisation would wait for other replicas to come.
    let always = ["--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0"];
    let mut node = Redis::with(&[&always, options].concat());
    node.password = Some(PASSWORD.to_owned());
    match certificates {
        Some(certificates) => node.with_tls(certificates),
        None => node,
    }
}

fn sentinel(master_port: u16, certificates: Option<&Certificates>) -> Redis {
    let mut sentinel = Redis::with(&[]);
    let (port, dir) = (sentinel.port(), path(&scratch_dir("sentinel")));
    let mut lines = format!(
        "port {port}\nbind 127.0.0.1\ndir {dir}\n\
         sentinel monitor {MASTER} 127.0.0.1 {master_port} 2\n\
         sentinel auth-pass {MASTER} {PASSWORD}\n\
         sentinel down-after-milliseconds {MASTER} 1500\n\
         sentinel failover-timeout {MASTER} 5000\n"
    );
    if let Some(certificates) = certificates {
        let port = free_port();
        sentinel.tls_port = Some(port);
        lines.extend(certificates.options(port).map(|(name, value)| format!("{name} {value}\n")));
    }
    sentinel.arguments = vec![path(&configuration(&lines)), "--sentinel".to_owned()];
    sentinel
}

async fn in_step(replica: &Redis) -> Result<(), String> {
    let info = replica.command(&["INFO", "replication"]).await?.concat();
    if info.contains("master_link_status:up") { Ok(()) } else { Err(info) }
}

async fn is_ready(sentinel: &Redis) -> Result<(), String> {
    let state = sentinel.command(&["SENTINEL", "MASTER", MASTER]).await?;
    let known = |name: &str, value: &str| state.chunks(2).any(|pair| pair == [name, value]);
    let others = (SENTINELS - 1).to_string();
    if known("num-slaves", "1") && known("num-other-sentinels", &others) && known("flags", "master") {
        Ok(())
    } else {
        Err(state.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::require;

    #[tokio::test]
    async fn a_replica_takes_over() {
        require!(RedisSentinel);
        let redis = RedisSentinel::launch().await;
        let first = redis.master().await;
        first.stop().await;
        redis.wait_master_is_not(first).await;
        let second = redis.master().await;
        eventually(WITHIN, || async {
            let role = second.command(&["ROLE"]).await?;
            if role[0] == "master" { Ok(()) } else { Err(role.join(" ")) }
        })
        .await;
    }
}
