//! Asking sentinels which node is the master.
//!
//! The redis crate has a client for this. It is not used, since it takes the first answer in the order of the address
//! and so waits for a sentinel that hangs, prefers no answer to an older one, cannot tell cheaply whether the master is
//! still the same, and has errors that name no server. The rules are those of Redis's "Guidelines for Redis clients
//! with support for Redis Sentinel".

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{ErrorKind, RedisResult, Role, cmd};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    address::Address,
    node::{Connection, Node, NodeError},
};
use crate::endpoint::Endpoint;

/// For all of them to answer, if none does sooner.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// For the others once one has answered: what a sentinel that hangs costs.
const GRACE: Duration = Duration::from_millis(300);
/// How often they are asked whether the master is still the same.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Why there is no node to connect to: what each server said or did.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no master {master:?}: {}", Causes(.causes))]
pub(super) struct NoMaster {
    master: String,
    causes: Vec<String>,
}

struct Causes<'a>(&'a [String]);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

#[derive(Debug)]
pub(super) struct Sentinels {
    address: Arc<Address>,
    master: String,
    each: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    node: Node,
    /// The same without credentials, which many deployments give to their nodes alone.
    open: Option<Node>,
    connection: Option<Connection>,
}

/// Where a sentinel believes the master to be. Each failover has a greater epoch than all before.
#[derive(Debug, PartialEq, Eq)]
struct Belief {
    epoch: u64,
    master: Endpoint,
}

impl Sentinels {
    pub(super) fn new(address: &Arc<Address>, sentinels: &[Endpoint], master: &str) -> Self {
        let sentinel = |endpoint: &Endpoint| {
            let node = |credentials| Node::new(endpoint.clone(), address.tls, credentials, 0);
            let credentials = address.credentials.as_ref();
            Sentinel { node: node(credentials), open: credentials.map(|_| node(None)), connection: None }
        };
        Self { address: Arc::clone(address), master: master.to_owned(), each: sentinels.iter().map(sentinel).collect() }
    }

    /// The node that the newest configuration names, once it has said itself that it is a master.
    pub(super) async fn master(&mut self) -> Result<Node, NoMaster> {
        let (beliefs, mut causes) = self.beliefs().await;
        for belief in beliefs {
            match self.verified(belief.master).await {
                Ok(node) => return Ok(node),
                Err(cause) => causes.push(cause),
            }
        }
        // In the order of who answers first each try would have a reason of its own.
        causes.sort();
        Err(NoMaster { master: self.master.clone(), causes })
    }

    pub(super) async fn moved(&mut self, from: &Endpoint) -> Endpoint {
        loop {
            sleep(FOLLOW_INTERVAL).await;
            let (beliefs, _) = self.beliefs().await;
            // The newest alone counts: a sentinel that is behind must not call anybody back.
            if let Some(newest) = beliefs.into_iter().next()
                && newest.master != *from
                && let Ok(node) = self.verified(newest.master).await
            {
                return node.endpoint;
            }
        }
    }

    /// What all of them believe, the newest first and no node twice, and what was wrong with the rest.
    async fn beliefs(&mut self) -> (Vec<Belief>, Vec<String>) {
        let name = &self.master;
        let mut silent: Vec<_> = self.each.iter().map(|sentinel| sentinel.node.endpoint.clone()).collect();
        let mut asked: FuturesUnordered<_> = self
            .each
            .iter_mut()
            .map(async |sentinel| (sentinel.node.endpoint.clone(), sentinel.ask(name).await))
            .collect();
        let (mut beliefs, mut causes) = (Vec::new(), Vec::new());
        let mut deadline = Instant::now() + ASK_TIMEOUT;
        while let Ok(Some((endpoint, answer))) = timeout_at(deadline, asked.next()).await {
            silent.retain(|other| *other != endpoint);
            match answer {
                Ok(belief) => {
                    beliefs.push(belief);
                    deadline = deadline.min(Instant::now() + GRACE);
                }
                Err(error) => causes.push(format!("sentinel at {endpoint}: {error}")),
            }
        }
        causes.extend(silent.iter().map(|endpoint| format!("sentinel at {endpoint}: no answer in time")));
        (newest_first(beliefs), causes)
    }

    async fn verified(&self, endpoint: Endpoint) -> Result<Node, String> {
        let node = Node::of(&self.address, endpoint);
        let mut connection = node.connect().await.map_err(|error| error.to_string())?;
        match cmd("ROLE").query_async(&mut connection.commands).await {
            Ok(Role::Primary { .. }) => Ok(node),
            Ok(_) => Err(format!("{node}: it says that it is no master")),
            Err(error) => Err(node.error(error).to_string()),
        }
    }
}

fn newest_first(mut beliefs: Vec<Belief>) -> Vec<Belief> {
    // Equals in a fixed order: one node that goes by two names must not seem to move.
    beliefs.sort_by(|one, other| other.epoch.cmp(&one.epoch).then_with(|| one.master.cmp(&other.master)));
    let mut named: Vec<Belief> = Vec::new();
    for belief in beliefs {
        if named.iter().all(|other| other.master != belief.master) {
            named.push(belief);
        }
    }
    named
}

impl Sentinel {
    async fn ask(&mut self, master: &str) -> RedisResult<Belief> {
        // Taken out, so that one that failed or was abandoned half-way is not used again.
        if let Some(mut connection) = self.connection.take()
            && let Ok(belief) = belief(&mut connection, master).await
        {
            self.connection = Some(connection);
            return Ok(belief);
        }
        let mut connection = self.connect().await.map_err(|error| error.cause)?;
        let belief = belief(&mut connection, master).await?;
        self.connection = Some(connection);
        Ok(belief)
    }

    async fn connect(&self) -> Result<Connection, NodeError> {
        match (self.node.connect().await, &self.open) {
            (Err(refused), Some(open)) if refused.cause.kind() == ErrorKind::AuthenticationFailed => {
                open.connect().await.map_err(|_| refused)
            }
            (connected, _) => connected,
        }
    }
}

/// The epoch is asked for first: a failover between the two then looks older than it is, never newer.
async fn belief(connection: &mut Connection, master: &str) -> RedisResult<Belief> {
    let state: HashMap<String, String> =
        cmd("SENTINEL").arg("MASTER").arg(master).query_async(&mut connection.commands).await?;
    let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    // While replicas are still being turned round, this one names the promoted node and the other one does not.
    let (host, port) =
        cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master).query_async(&mut connection.commands).await?;
    Ok(Belief { epoch, master: Endpoint { host, port } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(epoch: u64, port: u16) -> Belief {
        Belief { epoch, master: Endpoint { host: "10.0.0.1".to_owned(), port } }
    }

    #[test]
    fn the_newest_configuration_counts() {
        let told = vec![belief(3, 1), belief(7, 2), belief(3, 1), belief(7, 2), belief(5, 3)];
        assert_eq!(newest_first(told), [belief(7, 2), belief(5, 3), belief(3, 1)]);
    }

    #[test]
    fn what_each_server_said_is_named() {
        let causes =
            vec!["sentinel at a:26379: refused".to_owned(), "sentinel at b:26379: no answer in time".to_owned()];
        let error = NoMaster { master: "mymaster".to_owned(), causes };
        assert_eq!(
            error.to_string(),
            "no master \"mymaster\": sentinel at a:26379: refused; sentinel at b:26379: no answer in time"
        );
    }
}
