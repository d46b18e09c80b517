//! Wires the edge: the one file that knows all the others.

use std::{io, sync::Arc, thread::available_parallelism, time::Duration};

use axum::{Router, routing::any};
use signal_auth::{Permissions, Verifier};
use signal_bus::{Bus, Channels};
use signal_seal::identity::IdentityKey;
use signal_service::{doc, health::Health, rest, shutdown::Shutdown};
use signal_wire::{
    envelope::{BROADCAST_CHANNEL, Target},
    room,
};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    accept,
    admission::Admission,
    api, backplane_watch,
    clients::Clients,
    cluster::{self, Cluster, ClusterSettings},
    config::{StreamSettings, TokenExpiry},
    drain,
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
    /// With it, clients of protocol v2 can know that nobody stands between.
    pub identity: Option<Arc<IdentityKey>>,
    pub health: Health,
    pub shutdown: Shutdown,
}

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: StreamSettings,
    pub(crate) admission: Admission,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) identity: Option<Arc<IdentityKey>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) channels: Arc<dyn Channels>,
    pub(crate) expiries: Expiries,
    /// The stop has begun: nobody new is let in.
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
        metrics::max_connections(settings.max_connections);
        let Parts { bus, verifier, identity, permissions, cluster, health, shutdown } = parts;
        let registry = Arc::new(Registry::new(available_parallelism().map_or(1, usize::from)));
        let fanout = Fanout::new(Arc::clone(&registry), Handle::current());
        let expiries = Expiries::new(settings.token_expiry == TokenExpiry::Enforce);
        let stop = shutdown.token();
        let (cluster, ears) = cluster::prepare(Uuid::new_v4(), cluster, health.component("backplane"));
        // Heard for longer than clients are let in: pushes go on for as long as clients leave.
        let drained = CancellationToken::new();
        let channels = backplane_watch::start(Arc::clone(&bus), fanout, ears, drained.clone())?;
        let cluster = cluster.connect(Arc::clone(&registry), bus, Arc::clone(&channels), &shutdown, drained.clone());
        let admission = Admission::new(&settings);
        let stopping = stop.clone();
        let shared =
            Arc::new(Shared { settings, admission, verifier, identity, registry, channels, expiries, stop: stopping });

        until(&drained, subscribe_common(Arc::clone(&shared.channels)));
        until(&drained, watch::close_silent(Arc::clone(&shared)));
        until(&drained, watch::expire_tokens(Arc::clone(&shared)));
        if !shared.settings.max_connection_age.is_zero() {
            until(&stop, watch::retire_old(Arc::clone(&shared)));
        }
        let window = drain::fitting(shared.settings.drain_window.unwrap_or(drain::WINDOW), shutdown.deadline());
        shutdown.tasks().spawn(say_goodbye(Arc::clone(&shared), window));
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
        let api = api::router(base_path, clients, self.shared.identity.clone());
        let api = stream.merge(api).merge(doc::router(base_path));
        rest::finish_for(api, &self.shared.settings.cors.allowed_origins)
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

/// When the stop begins, sends everybody away; each session writes what waits before it ends.
async fn say_goodbye(shared: Arc<Shared>, window: Duration) {
    shared.stop.cancelled().await;
    drain::send_away(&shared.registry, window).await;
}
