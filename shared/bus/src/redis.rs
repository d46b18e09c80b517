//! Redis pub/sub: the backplane of a deployment.

mod address;
mod keeper;
mod node;
mod nodes;
mod publisher;
mod sentinel;
mod subscription;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use self::{address::Address, publisher::Publisher};
use crate::{Bus, BusError, Channels, Events, Mode, Publication};

/// A [`Bus`] on Redis: one server, a cluster, or the master that sentinels name. Clones share the publishing
/// connection.
#[derive(Clone)]
pub struct RedisBus {
    address: Arc<Address>,
    mode: Mode,
    publisher: Arc<Publisher>,
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
    /// - `redis-cluster://[user:password@]host[:port],host[:port],…`
    /// - `redis-sentinel://[user:password@]host[:port],host[:port],…/master[/db]`: the sentinels, and the name that
    ///   they know the master by. Sentinels that refuse the credentials are asked without them.
    ///
    /// With TLS, servers are verified against the system's roots or those in the file that `SSL_CERT_FILE` names.
    pub fn new(url: &str, mode: Mode) -> Result<Self, BusError> {
        let address = Arc::new(Address::read(url).map_err(|error| BusError::Address(error.to_string()))?);
        let publisher = Publisher::new(&address);
        Ok(Self { address, mode, publisher })
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for publication in batch {
            pipeline.publish(&publication.channel, &publication.payload[..]).ignore();
        }
        self.publisher.send(&pipeline).await.map_err(|error| BusError::Unreachable(error.to_string()))
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        subscription::open(&self.address, self.mode)
    }
}
