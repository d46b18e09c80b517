//! The publishing connection: made when it is needed, shared by all who publish, left when it fails.

use std::sync::Arc;

use redis::{Pipeline, RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    address::Address,
    node::{Connection, Node, NodeError, PING_INTERVAL},
    nodes::Nodes,
    sentinel::NoMaster,
};
use crate::endpoint::Endpoint;

pub(super) struct Publisher {
    address: Arc<Address>,
    // Held while connecting, so that a crowd of publishers makes one connection.
    state: Mutex<State>,
}

struct State {
    nodes: Nodes,
    current: Option<Current>,
    connections: u64,
    /// When the last try to connect began that failed.
    failed: Option<(Instant, PublishError)>,
}

struct Current {
    number: u64,
    node: Arc<Node>,
    connection: Connection,
    /// Ends with the connection that it watches.
    _watch: AbortOnDropHandle<()>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    NoMaster(#[from] NoMaster),
    #[error(transparent)]
    NoConnection(NodeError),
    #[error(transparent)]
    Failed(NodeError),
}

impl Publisher {
    pub(super) fn new(address: &Arc<Address>) -> Arc<Self> {
        let state = State { nodes: Nodes::new(address), current: None, connections: 0, failed: None };
        Arc::new(Self { address: Arc::clone(address), state: Mutex::new(state) })
    }

    pub(super) async fn send(self: &Arc<Self>, pipeline: &Pipeline) -> Result<(), PublishError> {
        match self.try_send(pipeline).await {
            // The connection was left over from before an outage, of which only using it tells. Saying it again may
            // say it twice; not saying it would lose it although the backplane is there.
            Err(PublishError::Failed(error)) if error.cause.is_connection_dropped() => self.try_send(pipeline).await,
            result => result,
        }
    }

    async fn try_send(self: &Arc<Self>, pipeline: &Pipeline) -> Result<(), PublishError> {
        let (number, node, mut connection) = self.connection().await?;
        let result: Result<(), RedisError> = pipeline.query_async(&mut connection.commands).await;
        if result.is_err() {
            // The next publication starts with a new connection rather than with this one's fate.
            self.leave(number).await;
        }
        result.map_err(|cause| PublishError::Failed(node.error(cause)))
    }

    async fn connection(self: &Arc<Self>) -> Result<(u64, Arc<Node>, Connection), PublishError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(Current { number, node, connection, .. }) = &state.current {
            return Ok((*number, Arc::clone(node), connection.clone()));
        }
        // A try that began since then has spoken for this one, too: a crowd must not hang one after the other.
        if let Some((began, error)) = &state.failed
            && *began >= asked
        {
            return Err(error.clone());
        }
        let began = Instant::now();
        let (node, connection) = match connect(&mut state.nodes).await {
            Ok(connected) => connected,
            Err(error) => {
                state.failed = Some((began, error.clone()));
                return Err(error);
            }
        };
        state.connections += 1;
        let number = state.connections;
        let watch = self.watch(number, node.endpoint.clone(), connection.commands.clone());
        let node = Arc::new(node);
        let (current, of_current) = (Arc::clone(&node), connection.clone());
        state.current = Some(Current { number, node: current, connection: of_current, _watch: watch });
        Ok((number, node, connection))
    }

    /// Leaves connection `number` once it carries nothing any more, or its node is no longer the master: such a node
    /// takes publications that nobody hears, without an error. Those who publish could not tell: they give up sooner
    /// than an answer may take.
    fn watch(self: &Arc<Self>, number: u64, node: Endpoint, commands: MultiplexedConnection) -> AbortOnDropHandle<()> {
        let (publisher, mut nodes) = (Arc::downgrade(self), Nodes::new(&self.address));
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::select! {
                _ = nodes.moved(&node) => {}
                () = answers(commands) => {}
            }
            if let Some(publisher) = publisher.upgrade() {
                publisher.leave(number).await;
            }
        }))
    }

    /// Forgets connection `number`, unless another has taken its place.
    async fn leave(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|current| current.number == number) {
            state.current = None;
        }
    }
}

/// Returns once the connection answers no ping any more.
async fn answers(mut commands: MultiplexedConnection) {
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pings.tick().await;
        // In time, which is the connection's own to say.
        if redis::cmd("PING").exec_async(&mut commands).await.is_err() {
            return;
        }
    }
}

/// Another node of a cluster does as well: all are tried before it is given up.
async fn connect(nodes: &mut Nodes) -> Result<(Node, Connection), PublishError> {
    let mut tries = nodes.count();
    loop {
        tries -= 1;
        let node = nodes.next().await?;
        match node.connect().await {
            Ok(connection) => return Ok((node, connection)),
            Err(_) if tries > 0 => {}
            Err(error) => return Err(PublishError::NoConnection(error)),
        }
    }
}
