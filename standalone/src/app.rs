//! Wires the process: the one file that knows all the others.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use rdkafka::{ClientConfig, error::KafkaError};
use signal_auth::{Clock, JwkSetClient, JwkSetError, Permissions, SecretsError, Verifier};
use signal_bus::{Bus, memory::MemoryBus};
use signal_edge::{ClusterSettings, Edge, TakenPath};
use signal_seal::identity::IdentityKeyError;
use signal_service::{
    Secret, admin,
    health::Health,
    listen::{self, ListenError},
    rest,
    settings::{
        AllowedOrigins,
        groups::{SameAddress, check_addresses},
        values,
    },
    shutdown::{Drain, Shutdown},
    telemetry,
};
use signal_worker::{
    config::PipelineSettings,
    consume::OffsetReset,
    store::{self, Database, Migration, OpenError, StoreError},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{NotLoopback, Settings},
    demo::{self, Demo, Embedded, payments::Payments},
    embedded::{
        backlog::Backlog,
        broker::{BrokerError, EmbeddedBroker},
        data_dir::{DataDir, DataDirError},
        database,
        identity::{self, IdentityError},
        issuer::{Issuer, IssuerError},
    },
    worker_stop::WorkerStop,
};

const DATABASE_FILE: &str = "signal.db";

/// The embedded broker answers a fetch that finds nothing only when its wait is over, whatever comes meanwhile: the
/// wait is what a payment takes to be seen.
const PROMPT_FETCH: &str = "fetch.wait.max.ms=10";

/// Each says what it was about; why is its source.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Reach(#[from] NotLoopback),
    #[error(transparent)]
    Address(#[from] SameAddress),
    #[error(transparent)]
    StreamPath(#[from] TakenPath),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    #[error(transparent)]
    EmbeddedIdentity(#[from] IdentityError),
    #[error("SIGNAL_IDENTITY_KEY")]
    Identity(#[from] IdentityKeyError),
    #[error("SIGNAL_JWKS_URL")]
    Jwks(#[from] JwkSetError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("SIGNAL_DATABASE_URL")]
    Database(#[from] OpenError),
    #[error("SIGNAL_DATABASE_URL")]
    Policies(#[from] signal_edge::permissions::OpenError),
    #[error("the embedded database in SIGNAL_DATA_DIR cannot be used")]
    Migrate(#[from] StoreError),
    #[error("the embedded database in SIGNAL_DATA_DIR cannot be used")]
    Seed(#[from] sqlx::Error),
    #[error(transparent)]
    Backplane(#[from] signal_bus::OpenError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("SIGNAL_KAFKA_BROKERS is not set, and the demo alone has no broker of its own")]
    NoBroker,
    #[error("the Kafka client refuses the settings of the payment form's producer")]
    Producer(#[source] KafkaError),
    #[error("the Kafka client refuses the settings with which a stop looks at the embedded broker")]
    Backlog(#[source] KafkaError),
    #[error(transparent)]
    Worker(#[from] signal_worker::app::StartError),
    #[error("the system gives no thread, or does not say where it listens")]
    Io(#[from] io::Error),
}

/// The process at work.
#[derive(Debug)]
pub struct Running {
    pub http_addr: SocketAddr,
    pub admin_addr: SocketAddr,
    pub health: Health,
    pub shutdown: Shutdown,
    serving: JoinHandle<()>,
    admin: JoinHandle<()>,
    admin_stop: CancellationToken,
    database: Arc<dyn Database>,
    worker: WorkerStop,
    _broker: Option<EmbeddedBroker>,
}

/// Starts everything that `shutdown` stops. `say` is told of each part: its name, and what it is.
///
/// # Errors
/// Whatever makes starting useless; what is real and merely away is waited for instead.
pub async fn start(
    settings: Settings,
    shutdown: Shutdown,
    mut say: impl FnMut(&str, &str),
) -> Result<Running, StartError> {
    settings.own.check_reach()?;
    settings.check_stream_path()?;
    let http = listen::bind(settings.own.http_addr, "SIGNAL_HTTP_ADDR")?;
    let admin_listener = listen::bind(settings.own.admin_addr, "SIGNAL_ADMIN_ADDR")?;
    let (http_addr, admin_addr) = (http.local_addr()?, admin_listener.local_addr()?);

    let metrics = telemetry::metrics();
    signal_worker::metrics::describe();
    let health = Health::new();
    let admin_stop = CancellationToken::new();
    let admin = tokio::spawn(admin::serve(admin_listener, admin::router(&health, metrics), admin_stop.clone()));

    let dir = DataDir::open(&settings.own.data_dir)?;
    let embedded = Embedded {
        database: settings.database.database_url.is_none(),
        backplane: !settings.backplane.is_set(),
        broker: settings.pipeline.kafka_brokers.is_none(),
        issuer: settings.auth.jwks_url.is_none(),
    };
    let database = database(&settings, &dir, &mut say).await?;
    let bus = backplane(&settings, &mut say)?;
    let (issuer, keys) = tokens(&settings, &dir, &health, &mut say)?;
    let (broker, pipeline) = broker(&settings, &mut say).await?;

    let in_flight = TaskTracker::new();
    let backlog = broker.as_ref().map(|broker| backlog(broker, &pipeline)).transpose()?;
    let deadline = settings.shutdown.shutdown_deadline;
    let worker_stop = WorkerStop::new(&shutdown, deadline, in_flight.clone(), backlog);
    let parts = signal_worker::app::Parts {
        bus: Arc::clone(&bus),
        store: Arc::clone(&database) as _,
        health: health.clone(),
        shutdown: worker_stop.shutdown(),
        broker_id: broker.as_ref().map(|broker| broker.id().to_owned()),
    };
    let worker = signal_worker::app::start(&pipeline, parts)?;

    let demo = Demo {
        stream_path: settings.stream.stream_path.clone(),
        base_path: settings.own.base_path.clone(),
        embedded,
        issuer,
        payments: payments(&pipeline, settings.pipeline.kafka_properties.as_ref(), shutdown.token(), in_flight)?,
        allow_remote: settings.own.allow_remote,
    };
    let verifier = Arc::new(Verifier::new(settings.auth.verifier_settings()?, keys));
    let notifications =
        worker.notifications(&settings.own.base_path, Arc::clone(&database) as _, Arc::clone(&verifier));
    let identity = settings.stream.identity()?.map_or_else(|| identity::open(&dir), Ok)?;
    let identity = Some(identity);
    let database_url = settings.database.database_url.clone();
    let policies =
        signal_edge::permissions::open(&database_url.unwrap_or_else(|| database::url(&dir.file(DATABASE_FILE))))?;
    let roles = settings.permissions.always_allow_roles.clone();
    let parts = signal_edge::Parts {
        bus,
        verifier,
        identity,
        permissions: Arc::new(Permissions::new(Some(policies), roles, Clock::system())),
        cluster: ClusterSettings::default(),
        health: health.clone(),
        shutdown: shutdown.clone(),
    };
    let mut stream = settings.stream;
    // Nobody waits for the window when there is no other edge to go to.
    stream.drain_window.get_or_insert(Duration::ZERO);
    let origins = stream.cors.allowed_origins.clone();
    let edge = Edge::start(stream, parts)?;
    let router = router(&edge, notifications, &origins, demo);
    let serving = tokio::spawn(serve(edge, http, router, shutdown.clone()));
    let (worker, _broker) = (worker_stop, broker);
    Ok(Running { http_addr, admin_addr, health, shutdown, serving, admin, admin_stop, database, worker, _broker })
}

/// Whether `start` could begin with these settings. To be called within a runtime.
///
/// # Errors
/// What `start` would refuse them with.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    settings.own.check_reach()?;
    check_addresses(settings.own.http_addr, settings.own.admin_addr)?;
    settings.check_stream_path()?;
    if let Some(url) = &settings.database.database_url {
        store::open(url)?;
    }
    backplane(settings, &mut |_, _| ())?;
    settings.stream.identity()?;
    if let Some(url) = &settings.auth.jwks_url {
        JwkSetClient::new(url, settings.auth.jwk_set_options())?;
    }
    settings.auth.verifier_settings()?;
    let mut pipeline = settings.pipeline.clone();
    // Where the broker is embedded: nobody has to be there.
    pipeline.kafka_brokers.get_or_insert_with(|| "127.0.0.1:1".to_owned());
    signal_worker::app::check_pipeline(&pipeline)?;
    payments(&pipeline, pipeline.kafka_properties.as_ref(), CancellationToken::new(), TaskTracker::new())?;
    Ok(())
}

/// The demo in front of the notification API, and that in front of the edge, which knows what there is not.
fn router(edge: &Edge, notifications: Router, origins: &AllowedOrigins, demo: Demo) -> Router {
    let behind = rest::finish_for_before(notifications, origins, edge.router(&demo.base_path));
    demo::router(demo, behind)
}

/// A process that accepts nobody any more is of no use: it stops.
async fn serve(edge: Edge, listener: TcpListener, router: Router, shutdown: Shutdown) {
    if let Err(error) = edge.serve(listener, router).await {
        tracing::error!(%error, "connections cannot be accepted");
        shutdown.trigger();
    }
}

async fn database(
    settings: &Settings,
    dir: &DataDir,
    say: &mut impl FnMut(&str, &str),
) -> Result<Arc<dyn Database>, StartError> {
    if let Some(url) = &settings.database.database_url {
        say("database", &url.without_credentials());
        return Ok(store::open(url)?);
    }
    let file = dir.file(DATABASE_FILE);
    let url = database::url(&file);
    let store = store::open(&url)?;
    store.migrate(Migration::CoreSchemaAndSeed).await?;
    database::seed_people(&url, &settings.pipeline.merchant_domain).await?;
    say("database", &format!("embedded, {}", file.display()));
    Ok(store)
}

fn backplane(settings: &Settings, say: &mut impl FnMut(&str, &str)) -> Result<Arc<dyn Bus>, StartError> {
    let named = &settings.backplane;
    let Some(url) = named.redis_url.as_ref().or(named.nats_url.as_ref()) else {
        say("backplane", "embedded, within this process");
        return Ok(Arc::new(MemoryBus::new()));
    };
    let bus = signal_bus::open(named, settings.stream.bus_subscription.into())?;
    say("backplane", &url.without_credentials());
    Ok(bus)
}

fn tokens(
    settings: &Settings,
    dir: &DataDir,
    health: &Health,
    say: &mut impl FnMut(&str, &str),
) -> Result<(Option<Issuer>, Arc<JwkSetClient>), StartError> {
    let Some(url) = &settings.auth.jwks_url else {
        let issuer = Issuer::open(dir, &settings.auth)?;
        let keys = Arc::new(JwkSetClient::fixed(issuer.key_set()));
        say("issuer", "embedded, three people to sign in as");
        return Ok((Some(issuer), keys));
    };
    let keys = Arc::new(JwkSetClient::new(url, settings.auth.jwk_set_options())?);
    let (warm, component) = (Arc::clone(&keys), health.component("issuer"));
    tokio::spawn(async move { warm.warm(&component).await });
    say("issuer", &Secret::from(url.as_str()).without_credentials());
    Ok((None, keys))
}

/// The broker, if it is embedded, and the pipeline's settings with its address in them.
async fn broker(
    settings: &Settings,
    say: &mut impl FnMut(&str, &str),
) -> Result<(Option<EmbeddedBroker>, PipelineSettings), StartError> {
    let mut pipeline = settings.pipeline.clone();
    if let Some(brokers) = &pipeline.kafka_brokers {
        say("broker", brokers);
        return Ok((None, pipeline));
    }
    let dead_letters = pipeline.dead_letter_topic().map_err(signal_worker::app::StartError::from)?;
    let topics = [&pipeline.kafka_topic, &dead_letters].map(|topic| topic.as_str().to_owned());
    let broker = EmbeddedBroker::start(topics.into()).await?;
    pipeline.kafka_brokers = Some(broker.bootstrap_servers().to_owned());
    // It begins empty: a payment that is faster than the consumer's first assignment must not be skipped.
    pipeline.kafka_offset_reset = OffsetReset::Earliest;
    let given = pipeline.kafka_properties.as_ref().map_or("", Secret::expose);
    pipeline.kafka_properties = Some(Secret::new(format!("{PROMPT_FETCH},{given}")));
    say("broker", &format!("embedded, {}", broker.bootstrap_servers()));
    Ok((Some(broker), pipeline))
}

fn backlog(broker: &EmbeddedBroker, pipeline: &PipelineSettings) -> Result<Backlog, StartError> {
    let (group, topic) = (pipeline.kafka_group.as_str(), pipeline.kafka_topic.as_str());
    Backlog::new(broker.bootstrap_servers(), group, topic).map_err(StartError::Backlog)
}

/// `properties` are those that were set, not those that the consumer of an embedded broker needs beside them.
pub(crate) fn payments(
    pipeline: &PipelineSettings,
    properties: Option<&Secret>,
    stop: CancellationToken,
    in_flight: TaskTracker,
) -> Result<Payments, StartError> {
    let mut config = ClientConfig::new();
    config.set("client.id", "signal-demo");
    config.set("bootstrap.servers", pipeline.kafka_brokers.clone().unwrap_or_default());
    let properties = properties.map_or("", Secret::expose);
    // The worker has refused what is no pair, and what a consumer alone can use a producer leaves unused.
    for (name, value) in values::pairs(properties).unwrap_or_default() {
        config.set(name, value);
    }
    Payments::new(config, pipeline.kafka_topic.as_str().to_owned(), stop, in_flight).map_err(StartError::Producer)
}

impl Running {
    /// Where the page is.
    pub fn page(&self) -> String {
        format!("http://{}/", self.http_addr)
    }

    /// Waits for the stop, then until all is done or the deadline has passed.
    pub async fn finish(self) -> Drain {
        self.shutdown.token().cancelled().await;
        // It stops by the same token; a panic in it has been reported.
        let _ = self.serving.await;
        let (edge, worker) = tokio::join!(self.shutdown.drain(), self.worker.stop());
        self.database.close().await;
        self.admin_stop.cancel();
        let _ = self.admin.await;
        if edge == Drain::Finished { worker } else { edge }
    }
}
