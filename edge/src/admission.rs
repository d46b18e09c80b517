//! Who is let in: from which pages, how many at once, how many from one address.
//!
//! | limit | where it holds | past it |
//! |---|---|---|
//! | `SIGNAL_MAX_HANDSHAKES`: connections that are no authenticated client | before `accept` | waits in the kernel; who has been silent for longest makes room, with 4009 |
//! | `SIGNAL_MAX_CONNECTIONS`: WebSockets | at the upgrade | 503 |
//! | `SIGNAL_MAX_CONNECTIONS_PER_IP` | at `accept`; behind a trusted proxy at the upgrade | 429 |
//! | `SIGNAL_ALLOWED_ORIGINS` | at the upgrade | 403 |

mod addresses;
mod places;
mod proxies;

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, StatusCode, header::ORIGIN};
use signal_service::settings::AllowedOrigins;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::proxies::TrustedProxies;
use self::{addresses::Addresses, places::Places};
pub(crate) use self::{addresses::Slot, places::Place};
use crate::{config::StreamSettings, metrics};

/// Shared by everything that accepts.
#[derive(Debug)]
pub(crate) struct Admission {
    handshakes: Places,
    streams: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    proxies: TrustedProxies,
    origins: AllowedOrigins,
}

/// Why a connection is not let in. The label under which it is counted is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error("This edge has all the connections that it may have")]
    Full,
    #[error("Too many connections from this address")]
    Address,
    #[error("Pages of this origin are not allowed")]
    Origin,
    /// Afterwards: it said nothing, and others wanted to.
    #[error("Nothing was said while others waited")]
    Silent,
}

impl NotAdmitted {
    pub(crate) const ALL: [Self; 4] = [Self::Full, Self::Address, Self::Origin, Self::Silent];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Origin => "origin",
            Self::Silent => "silent",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Address | Self::Silent => StatusCode::TOO_MANY_REQUESTS,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Admission {
    pub(crate) fn new(settings: &StreamSettings) -> Self {
        let streams = settings.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            handshakes: Places::new(settings.max_handshakes as usize, places::GRACE),
            streams: Arc::new(Semaphore::new(streams)),
            addresses: Addresses::new(settings.max_connections_per_ip),
            proxies: settings.trusted_proxies.clone(),
            origins: settings.cors.allowed_origins.clone(),
        }
    }

    /// Room for a connection that is nobody yet. What waits for it waits in the kernel.
    pub(crate) async fn room(&self) -> OwnedSemaphorePermit {
        if let Some(permit) = self.handshakes.free() {
            return permit;
        }
        metrics::accept_held();
        self.handshakes.wait().await
    }

    /// The place of a connection that has come just now.
    pub(crate) fn handshake(&self, room: OwnedSemaphorePermit) -> Place {
        self.handshakes.take(room)
    }

    /// The peer's place among those of its address; `None` for a proxy, whose clients are counted at the upgrade.
    pub(crate) fn peer(&self, peer: IpAddr) -> Result<Option<Slot>, NotAdmitted> {
        if self.proxies.trust(peer) {
            return Ok(None);
        }
        self.addresses.take(peer).map(Some).ok_or(NotAdmitted::Address)
    }

    /// The place of a client behind a proxy among those of its address.
    pub(crate) fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> Result<Slot, NotAdmitted> {
        self.addresses.take(self.proxies.client(peer, headers)).ok_or(NotAdmitted::Address)
    }

    /// Browsers always name the page's origin, and nothing else has to (RFC 6455, 10.2).
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Result<(), NotAdmitted> {
        let allowed = |origin: &HeaderValue| self.origins.allows(origin.to_str().unwrap_or_default());
        if headers.get_all(ORIGIN).iter().all(allowed) { Ok(()) } else { Err(NotAdmitted::Origin) }
    }

    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, NotAdmitted> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| NotAdmitted::Full)
    }
}
