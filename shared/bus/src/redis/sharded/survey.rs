//! Watches who serves which slot.
//!
//! While all is well one node is asked each second, in turn: a master that the others have deposed, and that is cut off
//! from them, keeps its subscribers and takes publications for them. Whoever meets something that has moved asks for a
//! [`Survey::hurry`], and then all nodes are asked at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{ErrorKind, RedisError, Value, pipe};
use signal_wire::backoff::Backoff;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::map::{Map, View};
use crate::{
    endpoint::Endpoint,
    outage::REFUSED,
    redis::{
        address::Address,
        node::{self, Connection, Node, NodeError},
    },
};

const CALM_INTERVAL: Duration = Duration::from_secs(1);
/// Between rounds that somebody waits for.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(400));
/// For all of them to answer, if none does sooner.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// For the others once one has answered: what a node that hangs costs.
const GRACE: Duration = Duration::from_millis(300);

/// What is known. Each round that all nodes were asked in is a new one, also if nothing has changed.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    pub(super) map: Arc<Map>,
    /// Why nothing new is known: no node has answered, yet.
    pub(super) failure: Option<String>,
}

#[derive(Debug)]
pub(super) struct Survey {
    outlook: watch::Receiver<Outlook>,
    hurry: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Survey {
    /// Begins with a round of all nodes of `address`.
    pub(super) fn begin(address: &Arc<Address>, seeds: &[Endpoint]) -> Self {
        let nothing = Outlook { map: Arc::default(), failure: Some("no node of the cluster was asked".to_owned()) };
        let (told, outlook) = watch::channel(nothing);
        let hurry = Arc::new(Notify::new());
        hurry.notify_one();
        let surveyor = Surveyor {
            address: Arc::clone(address),
            seeds: seeds.to_vec(),
            connections: HashMap::new(),
            outlook: told,
            next: 0,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(surveyor.run(Arc::clone(&hurry))));
        Self { outlook, hurry, _task: task }
    }

    /// What is known now, and what will be. A new receiver has seen nothing that comes from here on.
    pub(super) fn outlook(&self) -> watch::Receiver<Outlook> {
        self.outlook.clone()
    }

    /// Asks all nodes as soon as may be.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }
}

struct Surveyor {
    address: Arc<Address>,
    seeds: Vec<Endpoint>,
    connections: HashMap<Endpoint, Connection>,
    outlook: watch::Sender<Outlook>,
    next: usize,
}

impl Surveyor {
    async fn run(mut self, hurry: Arc<Notify>) {
        let mut rounds = 0;
        loop {
            tokio::select! {
                biased;
                () = hurry.notified() => {
                    let backoff = if self.ask_all().await { REFUSED } else { BACKOFF };
                    sleep(backoff.delay(rounds, getrandom::u32().unwrap_or(u32::MAX))).await;
                    rounds = rounds.saturating_add(1);
                }
                () = sleep(CALM_INTERVAL) => {
                    rounds = 0;
                    self.ask_one().await;
                }
            }
        }
    }

    /// Those of the address, and those that they know of.
    fn nodes(&self) -> Vec<Endpoint> {
        let mut nodes = self.outlook.borrow().map.owners();
        nodes.extend(self.seeds.iter().cloned());
        nodes.sort();
        nodes.dedup();
        nodes
    }

    async fn ask_one(&mut self) {
        let nodes = self.nodes();
        self.next = (self.next + 1) % nodes.len();
        let node = Node::of(&self.address, nodes[self.next].clone());
        let connection = self.connections.remove(&node.endpoint);
        let Ok((connection, view)) = ask(&node, connection).await else { return };
        self.connections.insert(node.endpoint, connection);
        self.outlook.send_if_modified(|outlook| {
            let is_behind = outlook.map.is_behind(&view);
            if is_behind {
                Arc::make_mut(&mut outlook.map).merge(&view);
            }
            is_behind
        });
    }

    /// What was known counts for nothing against what is said now: epochs of a cluster that was made anew are small.
    ///
    /// Returns whether every node is there and lets nobody in.
    async fn ask_all(&mut self) -> bool {
        let nodes = self.nodes();
        let mut asked: FuturesUnordered<_> = nodes
            .iter()
            .map(|endpoint| {
                let connection = self.connections.remove(endpoint);
                let node = Node::of(&self.address, endpoint.clone());
                async move { ask(&node, connection).await.map(|answer| (node.endpoint, answer)) }
            })
            .collect();
        let (mut map, mut answered, mut causes, mut refusals) = (Map::default(), false, Vec::new(), 0);
        let mut deadline = Instant::now() + ASK_TIMEOUT;
        while let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await {
            match answer {
                Ok((endpoint, (connection, view))) => {
                    self.connections.insert(endpoint, connection);
                    map.merge(&view);
                    answered = true;
                    deadline = deadline.min(Instant::now() + GRACE);
                }
                Err(error) => {
                    refusals += usize::from(node::is_refusal(&error.cause));
                    causes.push(error.to_string());
                }
            }
        }
        drop(asked);
        // In the order of who answers first each round would have a reason of its own.
        causes.sort();
        self.connections.retain(|endpoint, _| nodes.contains(endpoint));
        if !answered && causes.is_empty() {
            causes.push(format!("no answer within {ASK_TIMEOUT:?}"));
        }
        self.outlook.send_modify(|outlook| {
            if answered {
                outlook.map = Arc::new(map);
            }
            outlook.failure = (!answered).then(|| format!("no node of the cluster answers: {}", causes.join("; ")));
        });
        refusals == nodes.len()
    }
}

async fn ask(node: &Node, connection: Option<Connection>) -> Result<(Connection, View), NodeError> {
    if let Some(mut connection) = connection
        && let Ok(view) = view(&mut connection, node).await
    {
        return Ok((connection, view));
    }
    let mut connection = node.connect().await?;
    let view = view(&mut connection, node).await.map_err(|cause| node.error(cause))?;
    Ok((connection, view))
}

async fn view(connection: &mut Connection, node: &Node) -> Result<View, RedisError> {
    let mut asked = pipe();
    asked.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("NODES");
    let (slots, nodes): (Value, String) = asked.query_async(&mut connection.commands).await?;
    View::read(&slots, &nodes, &node.endpoint)
        .ok_or_else(|| (ErrorKind::UnexpectedReturnType, "it does not say who serves which slot").into())
}
