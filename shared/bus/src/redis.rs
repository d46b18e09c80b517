//! Redis pub/sub: the backplane of a deployment.

mod address;
mod keeper;
mod node;
mod nodes;
mod publisher;
mod sentinel;
mod sharded;
mod subscription;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use self::{
    address::{Address, Pubsub, Topology},
    publisher::Publisher,
    sharded::ShardedPublisher,
};
use crate::{Bus, BusError, Channels, Events, Mode, Publication, endpoint::Endpoint};

/// A [`Bus`] on Redis: one server, a cluster, or the master that sentinels name. Clones share the publishing
/// connection.
#[derive(Clone)]
pub struct RedisBus {
    address: Arc<Address>,
    mode: Mode,
    ends: Ends,
}

/// How the two ends of an address speak.
#[derive(Clone)]
enum Ends {
    Classic(Arc<Publisher>),
    Sharded { nodes: Arc<[Endpoint]>, publisher: Arc<ShardedPublisher> },
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBus").field("address", &self.address).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl RedisBus {
    /// Connects later. `url` is one of, each with `rediss` instead of `redis` for TLS:
    ///
    /// - `redis://[user:password@]host[:port][/db]`
    /// - `redis-cluster://[user:password@]host[:port],host[:port],…[?pubsub=classic|sharded]`: with sharded pub/sub
    ///   (Redis 7 or later) a message is read by the shard of its channel, and not by the whole cluster. It has no
    ///   patterns.
    /// - `redis-sentinel://[user:password@]host[:port],host[:port],…/master[/db]`: the sentinels, and the name that
    ///   they know the master by. Sentinels that refuse the credentials are asked without them.
    ///
    /// With TLS, servers are verified against the system's roots or those in the file that `SSL_CERT_FILE` names.
    pub fn new(url: &str, mode: Mode) -> Result<Self, BusError> {
        let address = Arc::new(Address::read(url).map_err(|error| BusError::Address(error.to_string()))?);
        let ends = match &address.topology {
            Topology::Cluster { nodes, pubsub: Pubsub::Sharded } => {
                if mode == Mode::Pattern {
                    return Err(BusError::Address(NO_PATTERNS.to_owned()));
                }
                let publisher = Arc::new(ShardedPublisher::new(&address, nodes));
                Ends::Sharded { nodes: nodes.as_slice().into(), publisher }
            }
            _ => Ends::Classic(Publisher::new(&address)),
        };
        Ok(Self { address, mode, ends })
    }

    /// Where what is said is heard, as the address has it: classic and sharded pub/sub know nothing of each other, and
    /// databases make no difference.
    pub(crate) fn places(&self) -> Vec<String> {
        let place = |kind: &str, node: &Endpoint| format!("{kind} {node}").to_ascii_lowercase();
        match &self.address.topology {
            Topology::Single(node) => vec![place("classic", node)],
            Topology::Cluster { nodes, pubsub } => {
                let kind = if matches!(pubsub, Pubsub::Sharded) { "sharded" } else { "classic" };
                nodes.iter().map(|node| place(kind, node)).collect()
            }
            // Sentinels look after several masters, whose names are not those of hosts.
            Topology::Sentinel { sentinels, master } => {
                sentinels.iter().map(|node| format!("{}/{master}", place("sentinel", node))).collect()
            }
        }
    }
}

const NO_PATTERNS: &str =
    "pubsub=sharded has no patterns: SIGNAL_BUS_SUBSCRIPTION=pattern goes with classic pub/sub only";

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if batch.is_empty() {
            return Ok(());
        }
        let said = match &self.ends {
            Ends::Classic(publisher) => {
                let mut pipeline = redis::pipe();
                for publication in batch {
                    pipeline.publish(&publication.channel, &publication.payload[..]).ignore();
                }
                publisher.send(&pipeline).await.map_err(|error| error.to_string())
            }
            Ends::Sharded { publisher, .. } => publisher.send(batch).await,
        };
        said.map_err(BusError::Unreachable)
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        match &self.ends {
            Ends::Classic(_) => subscription::open(&self.address, self.mode),
            Ends::Sharded { nodes, .. } => sharded::open(&self.address, nodes),
        }
    }
}
