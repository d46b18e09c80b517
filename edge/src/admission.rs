//! Who is let in: from which pages, how many at once, how many from one address.
//!
//! | limit | where it holds | past it |
//! |---|---|---|
//! | `SIGNAL_MAX_HANDSHAKES`: connections that are no authenticated client | before `accept` | waits in the kernel |
//! | `SIGNAL_MAX_CONNECTIONS`: WebSockets | at the upgrade | 503 |
//! | `SIGNAL_MAX_CONNECTIONS_PER_IP` | at `accept`; behind a trusted proxy at the upgrade | 429 |
//! | `SIGNAL_ALLOWED_ORIGINS` | at the upgrade | 403 |

mod addresses;
mod proxies;

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, StatusCode, header::ORIGIN};
use signal_service::settings::AllowedOrigins;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::addresses::Addresses;
pub(crate) use self::addresses::Slot;
pub(crate) use self::proxies::TrustedProxies;
use crate::config::StreamSettings;

/// Shared by everything that accepts.
#[derive(Debug)]
pub(crate) struct Admission {
    handshakes: Arc<Semaphore>,
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
}

impl NotAdmitted {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Origin => "origin",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Address => StatusCode::TOO_MANY_REQUESTS,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }
}

impl Admission {
    pub(crate) fn new(settings: &StreamSettings) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            handshakes: semaphore(settings.max_handshakes as usize),
            streams: semaphore(settings.max_connections),
            addresses: Addresses::new(settings.max_connections_per_ip),
            proxies: settings.trusted_proxies.clone(),
            origins: settings.cors.allowed_origins.clone(),
        }
    }

    /// A place for a connection that is nobody yet, at once or not.
    pub(crate) fn try_handshake(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.handshakes).try_acquire_owned().ok()
    }

    /// Waits for such a place.
    pub(crate) async fn handshake(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.handshakes).acquire_owned().await.expect("the semaphore is never closed")
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
