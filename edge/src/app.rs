//! Wires the edge: the one file that knows all the others.

use std::{io, sync::Arc, thread::available_parallelism};

use axum::{Router, routing::any};
use signal_auth::{Permissions, Verifier};
use signal_bus::{Bus, Channels};
use signal_service::{health::Health, rest, shutdown::Shutdown};
use signal_wire::{
    close::CloseCode,
    envelope::{BROADCAST_CHANNEL, Target},
    room,
};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    accept, backplane_watch,
    clients::{self, Clients},
    cluster::{self, Cluster, ClusterSettings},
    config::{StreamSettings, TokenExpiry},
    fanout::Fanout,
    metrics,
    registry::Registry,
    upgrade,
    watch::{self, Expiries},
};

/// What the edge is given: everything that could be another in a test or in one process with the worker.
#[derive(Debug)]
pub struct Parts {
    pub bus: Arc<dyn Bus>,
    pub verifier: Arc<Verifier>,
    pub permissions: Arc<Permissions>,
    pub cluster: ClusterSettings,
    pub health: Health,
    pub shutdown: Shutdown,
}

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: StreamSettings,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) channels: Arc<dyn Channels>,
    pub(crate) expiries: Expiries,
    pub(crate) stop: CancellationToken,
}

/// A running edge.
#[derive(Clone, Debug)]
pub struct Edge {
    shared: Arc<Shared>,
    cluster: Arc<Cluster>,
    permissions: Arc<Permissions>,
    shutdown: Shutdown,
}

impl Edge {
    /// Starts everything but the listener. To be called on a Tokio runtime.
    ///
    /// # Errors
    /// If the system gives no thread for the backplane.
    pub fn start(settings: StreamSettings, parts: Parts) -> io::Result<Self> {
        metrics::describe();
        let Parts { bus, verifier, permissions, cluster, health, shutdown } = parts;
        let registry = Arc::new(Registry::new(available_parallelism().map_or(1, usize::from)));
        let fanout = Fanout::new(Arc::clone(&registry), Handle::current());
        let expiries = Expiries::new(settings.token_expiry == TokenExpiry::Enforce);
        let stop = shutdown.token();
        let (cluster, ears) = cluster::prepare(Uuid::new_v4(), cluster, health.component("backplane"));
        // Heard for longer than clients are let in: until the last of them is gone.
        let backplane = CancellationToken::new();
        let channels = backplane_watch::start(Arc::clone(&bus), fanout, ears, backplane.clone())?;
        let cluster = cluster.connect(Arc::clone(&registry), bus, Arc::clone(&channels), &shutdown, backplane);
        let shared = Arc::new(Shared { settings, verifier, registry, channels, expiries, stop: stop.clone() });

        until(&stop, subscribe_common(Arc::clone(&shared.channels)));
        until(&stop, watch::close_silent(Arc::clone(&shared)));
        until(&stop, watch::expire_tokens(Arc::clone(&shared)));
        shutdown.tasks().spawn(say_goodbye(Arc::clone(&shared)));
        Ok(Self { shared, cluster, permissions, shutdown })
    }

    /// Accepts clients until the shutdown begins; `router` answers whatever is not the stream.
    ///
    /// # Errors
    /// If the listener fails for good.
    pub async fn serve(&self, listener: TcpListener, router: Router) -> io::Result<()> {
        accept::serve(Arc::clone(&self.shared), self.shutdown.tasks().clone(), listener, router).await
    }

    /// The edge's REST routes; those of the API are under `base_path`.
    pub fn router(&self, base_path: &str) -> Router {
        let clients = Clients {
            cluster: Arc::clone(&self.cluster),
            verifier: Arc::clone(&self.shared.verifier),
            permissions: Arc::clone(&self.permissions),
        };
        let stream = Router::new().route(&self.shared.settings.stream_path, any(upgrade::refuse));
        rest::finish(stream.merge(clients::router(base_path, clients)))
    }

    /// Authenticated clients.
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }
}

fn until(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(stop.clone().run_until_cancelled_owned(work));
}

/// The channels that every edge holds for good.
async fn subscribe_common(channels: Arc<dyn Channels>) {
    let rooms = [room::DEFAULT, room::NOTIFICATION].map(|room| Target::Room(room).channel());
    if let Err(error) = channels.acquire([BROADCAST_CHANNEL.to_owned()].into_iter().chain(rooms).collect()).await {
        tracing::error!(%error, "broadcasts are not subscribed to");
    }
}

/// When the stop begins, closes everybody; each session writes what waits before it ends.
async fn say_goodbye(shared: Arc<Shared>) {
    shared.stop.cancelled().await;
    shared.registry.for_each(|connection| connection.close(CloseCode::ServerShutdown));
}
