//! The wiring: which parts there are and who is handed what. What happens to a record is the pipeline's business.

pub mod dead_letters;
mod explain;
mod replay;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::Router;
use signal_auth::{JwkSetClient, JwkSetError, SecretsError, Verifier};
use signal_bus::{Bus, Mode};
use signal_service::{
    admin, doc,
    health::Health,
    listen::{self, ListenError},
    rest,
    serve::{self, Limits as ServeLimits},
    settings::groups::SameAddress,
    shutdown::Shutdown,
    telemetry,
};
use signal_wire::snowflake::Snowflakes;
use uuid::Uuid;

pub use self::{
    explain::explain,
    replay::{Replayed, replay},
};
use crate::{
    config::{DeadLetterTopicError, PipelineSettings, WorkerSettings},
    consume::{self, Batches, ConsumeError, ConsumeSettings, range::RangeError},
    dead_letters::producer::DeadLetterTopic,
    explain::ExplainError,
    inbox::{self, Notifications},
    journal::{self, Journal},
    metrics,
    persist::Persister,
    pipeline::{Occasion, Pipeline},
    publish::Publisher,
    replay::ReplayError,
    resolve::Limits,
    selection::Selection,
    store::{self, Database, OpenError, Store, StoreError, inbox::Inbox, patient::Patient},
};

/// What a worker works with and does not make itself.
#[derive(Clone, Debug)]
pub struct Parts {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    pub health: Health,
    /// The worker stops with its token, and is done when its tasks are.
    pub shutdown: Shutdown,
    /// Goes before the keys that are made of positions, for a broker whose offsets begin anew while the rows stay.
    pub broker_id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the pipeline has ended by itself: the log says why")]
    Ended,
    #[error("not set: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    #[error("SIGNAL_SNOWFLAKE_WORKER_ID is above 1023")]
    WorkerId,
    #[error(transparent)]
    Address(#[from] SameAddress),
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    #[error(
        "SIGNAL_MERCHANT_DOMAIN is SIGNAL_ORGANIZER_DOMAIN: people of a merchant would be told of an organizer's, and the other way round"
    )]
    Domains,
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterTopicError),
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Explain(#[from] ExplainError),
    #[error("SIGNAL_DATABASE_URL")]
    Database(#[from] OpenError),
    #[error(transparent)]
    Schema(StoreError),
    #[error(transparent)]
    Backplane(#[from] signal_bus::OpenError),
    #[error("SIGNAL_JWKS_URL")]
    Jwks(#[from] JwkSetError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("signals can't be listened for")]
    Signals(#[source] std::io::Error),
}

/// A worker at work.
#[derive(Debug)]
pub struct Worker {
    publisher: Arc<Publisher>,
    shutdown: Shutdown,
    failed: Arc<AtomicBool>,
}

impl Worker {
    /// Whether the pipeline has ended although nobody had told it to.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The notification API on `inbox`, under `base_path`, to be finished with the other routes.
    pub fn notifications(&self, base_path: &str, inbox: Arc<dyn Inbox>, verifier: Arc<Verifier>) -> Router {
        let tasks = self.shutdown.tasks().clone();
        inbox::router(base_path, Notifications::new(inbox, verifier, Arc::clone(&self.publisher), tasks))
    }
}

/// Starts a worker on the parts. It runs as tasks of `parts.shutdown`, which it triggers itself should it fail.
pub fn start(settings: &PipelineSettings, parts: Parts) -> Result<Worker, StartError> {
    check_domains(settings)?;
    let consume = consume_settings(settings)?;
    let Parts { bus, store, health, shutdown, broker_id } = parts;
    let ids = Snowflakes::new(settings.snowflake_worker_id).ok_or(StartError::WorkerId)?;
    let journal = Arc::<Journal>::default();
    let publisher = Arc::new(Publisher::new(Arc::clone(&bus), health.background("backplane")));
    let database = health.component("database");
    let kafka = health.background("kafka");
    let patient = Arc::new(Patient::new(store, database.clone(), shutdown.token()));
    let letters = health.background("dead_letters");
    let letters = DeadLetterTopic::open(&consume, &settings.dead_letter_topic()?, letters, shutdown.token())?;
    let dead_letters = Arc::new(letters);
    let pipeline = Pipeline {
        store: Arc::clone(&patient) as _,
        persister: Persister::new(ids),
        publisher: Some(Arc::clone(&publisher)),
        domains: settings.domains(),
        limits: Limits::DEFAULT,
        journal: Arc::clone(&journal),
        dead_letters: Some(Arc::clone(&dead_letters) as _),
        broker_id,
        selection: Selection::default(),
        occasion: Occasion::News,
    };
    let batches = consume::start(consume, kafka, shutdown.token(), shutdown.tasks())?;
    let stop = shutdown.token();
    shutdown.tasks().spawn(journal::answer::answer(journal, bus, Uuid::new_v4(), stop.clone()));
    shutdown.tasks().spawn(store::watch::watch(patient, database, stop.clone()));
    let watching = Arc::clone(&publisher);
    shutdown.tasks().spawn(async move { watching.watch(stop).await });
    shutdown.tasks().spawn(async move { dead_letters.look().await });
    let failed = Arc::<AtomicBool>::default();
    let supervised = supervise(tokio::spawn(work(pipeline, batches)), shutdown.clone(), Arc::clone(&failed));
    shutdown.tasks().spawn(supervised);
    Ok(Worker { publisher, shutdown, failed })
}

async fn work(pipeline: Pipeline, mut batches: Batches) {
    while let Some(batch) = batches.next().await {
        match pipeline.process(batch.records).await {
            Ok(_) => batch.receipt.done(),
            // Dropping the receipt leaves the offsets: the next worker reads the batch again.
            Err(StoreError::Stopped) => return,
            Err(error) => {
                tracing::error!(%error, "a batch failed");
                return;
            }
        }
    }
}

/// A worker that reads no more is of no use: the process ends, and whoever started it starts it again.
async fn supervise(work: tokio::task::JoinHandle<()>, shutdown: Shutdown, failed: Arc<AtomicBool>) {
    let panicked = work.await.is_err();
    if panicked || !shutdown.token().is_cancelled() {
        tracing::error!(panicked, "the pipeline has ended");
        failed.store(true, Ordering::Relaxed);
        shutdown.trigger();
    }
}

/// `signal-worker run`: until a signal, then until all is done or the deadline has passed.
pub async fn run(settings: &WorkerSettings) -> Result<(), StartError> {
    complete(&needed(settings))?;
    settings.http.check()?;
    let (bus, database, keys) = (bus(settings)?, database(settings)?, keys(settings)?);
    let reader = telemetry::metrics();
    metrics::describe();
    let health = Health::new();
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().map_err(StartError::Signals)?;

    let (http_addr, admin_addr): (SocketAddr, SocketAddr) = (settings.http.http_addr, settings.http.admin_addr);
    let http = listen::bind(http_addr, "SIGNAL_HTTP_ADDR")?;
    let listener = listen::bind(admin_addr, "SIGNAL_ADMIN_ADDR")?;
    let router = admin::router(&health, reader);
    // Not a task of the shutdown: a drain can be watched while it lasts.
    tokio::spawn(admin::serve(listener, router, tokio_util::sync::CancellationToken::new()));
    let (warm, issuer) = (Arc::clone(&keys), health.component("issuer"));
    tokio::spawn(async move { warm.warm(&issuer).await });

    let serving = health.component("worker");
    let store = Arc::clone(&database) as _;
    let worker = start(&settings.pipeline, Parts { bus, store, health, shutdown: shutdown.clone(), broker_id: None })?;
    let verifier = Arc::new(Verifier::new(settings.auth.verifier_settings()?, keys));
    let routes = worker.notifications(&settings.http.base_path, Arc::clone(&database) as _, verifier);
    let routes = routes.merge(doc::router(&settings.http.base_path));
    let router = rest::finish_for(routes, &settings.cors.allowed_origins);
    tracing::info!(%http_addr, %admin_addr, topic = settings.pipeline.kafka_topic.as_str(), "worker started");
    serving.up();
    serve::serve(http, router, ServeLimits::default(), shutdown.clone()).await;
    serving.down("stopping");
    shutdown.drain().await;
    // A database that does not answer is no reason to go on living.
    let _ = tokio::time::timeout(shutdown.left(), database.close()).await;
    if worker.has_failed() { Err(StartError::Ended) } else { Ok(()) }
}

/// Whether `run` could start with these settings. To be called within a runtime, as the parts need one.
pub fn check(settings: &WorkerSettings) -> Result<(), StartError> {
    complete(&needed(settings))?;
    settings.http.check()?;
    bus(settings)?;
    database(settings)?;
    keys(settings)?;
    settings.auth.verifier_settings()?;
    check_pipeline(&settings.pipeline)
}

/// Whether `start` could begin with these settings, whoever brings the parts.
pub fn check_pipeline(settings: &PipelineSettings) -> Result<(), StartError> {
    let consume = consume_settings(settings)?;
    consume::check(&consume)?;
    settings.dead_letter_topic()?;
    DeadLetterTopic::check(&consume)?;
    check_domains(settings)
}

fn check_domains(settings: &PipelineSettings) -> Result<(), StartError> {
    if settings.organizer_domain == settings.merchant_domain { Err(StartError::Domains) } else { Ok(()) }
}

const BROKERS: &str = "SIGNAL_KAFKA_BROKERS";
const DATABASE: &str = "SIGNAL_DATABASE_URL";
const BACKPLANE: &str = signal_bus::VARIABLES;
const JWKS: &str = "SIGNAL_JWKS_URL";

/// What the worker can't do without, and whether it is set.
fn needed(settings: &WorkerSettings) -> [(&'static str, bool); 4] {
    [
        (BROKERS, settings.pipeline.kafka_brokers.is_some()),
        (DATABASE, settings.database.database_url.is_some()),
        (BACKPLANE, settings.backplane.is_set()),
        (JWKS, settings.auth.jwks_url.is_some()),
    ]
}

/// Whatever is missing is said at once.
fn complete(needed: &[(&'static str, bool)]) -> Result<(), StartError> {
    let missing: Vec<_> = needed.iter().filter(|(_, is_set)| !is_set).map(|(name, _)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(StartError::Missing(missing)) }
}

fn consume_settings(settings: &PipelineSettings) -> Result<ConsumeSettings, StartError> {
    settings.consume().ok_or_else(|| StartError::Missing(vec![BROKERS]))
}

fn bus(settings: &WorkerSettings) -> Result<Arc<dyn Bus>, StartError> {
    Ok(signal_bus::open(&settings.backplane, Mode::Exact)?)
}

fn database(settings: &WorkerSettings) -> Result<Arc<dyn Database>, StartError> {
    let url = settings.database.database_url.as_ref().ok_or_else(|| StartError::Missing(vec![DATABASE]))?;
    Ok(store::open(url)?)
}

fn keys(settings: &WorkerSettings) -> Result<Arc<JwkSetClient>, StartError> {
    let url = settings.auth.jwks_url.as_ref().ok_or_else(|| StartError::Missing(vec![JWKS]))?;
    Ok(Arc::new(JwkSetClient::new(url, settings.auth.jwk_set_options())?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How a worker stands whose pipeline ends so.
    async fn ended(work: impl Future<Output = ()> + Send + 'static, told_to_stop: bool) -> (bool, bool) {
        let (shutdown, failed) = (Shutdown::new(Duration::from_secs(10)), Arc::<AtomicBool>::default());
        if told_to_stop {
            shutdown.trigger();
        }
        supervise(tokio::spawn(work), shutdown.clone(), Arc::clone(&failed)).await;
        (failed.load(Ordering::Relaxed), shutdown.token().is_cancelled())
    }

    #[tokio::test]
    async fn a_pipeline_that_ends_by_itself_ends_the_worker_and_is_a_failure() {
        assert_eq!(ended(async {}, false).await, (true, true));
        assert_eq!(ended(async { panic!("as a fault would") }, false).await, (true, true));
        assert_eq!(ended(async { panic!("even then") }, true).await, (true, true));
        assert_eq!(ended(async {}, true).await, (false, true), "it was told to");
    }
}
