//! Core NATS: the backplane of a fleet that outgrows one Redis. A message goes to the servers that have a listener for
//! it, and to no other.
//!
//! The client is Signal's own. The one that NATS offers for Rust, async-nats (0.51 was looked at), is made for
//! subscriptions that have nothing to do with each other, and Signal needs one that has 400,000 subjects:
//!
//! - Each subscription is a queue of its own, so that what came on two of them cannot be put in order again. A client
//!   would be sent what was said to its room and then to its user the other way round.
//! - Each such queue takes several KiB before it holds anything, and an edge has four for each client. Here a channel
//!   takes what it takes on Redis: its name in a table.
//! - A message for a queue that is full is dropped while the connection goes on, so that nobody is told to `resync`. Here
//!   nothing is read that cannot be handed over, and a server that will not wait closes the connection: an outage, after
//!   which everybody is told.
//!
//! It is the sister service of this crate's tests.

mod address;
mod connection;
mod keeper;
mod protocol;
mod publisher;
mod servers;
mod subject;
mod subscription;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use self::{address::Address, publisher::Publisher};
use crate::{Bus, BusError, Channels, Events, Mode, Publication};

/// A [`Bus`] on NATS: one server or a cluster. Clones share the publishing connection.
#[derive(Clone)]
pub struct NatsBus {
    address: Arc<Address>,
    mode: Mode,
    publisher: Arc<Publisher>,
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus").field("address", &self.address).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl NatsBus {
    /// Connects later. `url` is `nats://[user:password@|token@]host[:port],host[:port],…`, and with `tls` for TLS, which
    /// is also used with a server that has it no other way. Further servers of a cluster are learned from those.
    ///
    /// With TLS, servers are verified against the system's roots or those in the file that `SSL_CERT_FILE` names.
    ///
    /// # Errors
    /// [`BusError::Address`], which repeats no part of `url`.
    pub fn new(url: &str, mode: Mode) -> Result<Self, BusError> {
        let address = Arc::new(Address::read(url).map_err(|error| BusError::Address(error.to_string()))?);
        let publisher = Arc::new(Publisher::new(&address));
        Ok(Self { address, mode, publisher })
    }

    /// Where what is said is heard, as the address has it.
    pub(crate) fn places(&self) -> Vec<String> {
        self.address.servers.iter().map(|server| format!("nats {server}").to_ascii_lowercase()).collect()
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn publish(&self, batch: &[Publication]) -> Result<(), BusError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.publisher.send(batch.to_vec()).await
    }

    fn subscribe(&self) -> (Arc<dyn Channels>, Box<dyn Events>) {
        subscription::open(&self.address, self.mode)
    }
}
