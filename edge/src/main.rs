//! `signal-edge`: the stateless edge as a process.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use signal_auth::{Clock, JwkSetClient, Permissions, Policies, Verifier, VerifierSettings};
use signal_bus::Bus;
use signal_edge::{ClusterSettings, Edge, EdgeSettings, Parts, permissions};
use signal_seal::identity::IdentityKey;
use signal_service::{
    admin,
    health::{
        Health,
        probe::{self, Question},
    },
    listen,
    settings::{self, Source, unknown},
    shutdown::Shutdown,
    telemetry::{self, Identity, TRACE_FLUSH},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Encrypted WebSockets for people's screens, fed by the backplane.
#[derive(Debug, Parser)]
#[command(name = "signal-edge", version)]
struct Cli {
    #[command(flatten)]
    settings: EdgeSettings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Checks flags and variables, and fails for SIGNAL_ variables that nobody knows.
    CheckConfig,
    /// Asks the process that has the same settings whether it is ready, and ends within a second: with 0 if it is. For
    /// probes of containers, which have no shell.
    Health(Question),
}

const IDENTITY: Identity = Identity { name: "signal-edge", version: env!("CARGO_PKG_VERSION") };

fn main() -> ExitCode {
    let source = Source::process();
    let cli: Cli = match settings::parse(std::env::args_os(), &source) {
        Ok(cli) => cli,
        Err(error) => return error.report(),
    };
    if let Some(Command::Health(question)) = cli.command {
        return answer(probe::ask(cli.settings.http.admin_addr, question).context("not healthy"));
    }
    if let Some(Command::CheckConfig) = cli.command {
        return answer(check_config(&cli.settings, &source));
    }
    match run(cli.settings, &source) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// For whoever has asked at a terminal.
fn answer(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the status says it all the same.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(settings: &EdgeSettings, source: &Source) -> anyhow::Result<()> {
    unknown::refuse_unknown(&Cli::command(), source)?;
    let _traces = telemetry::init(IDENTITY, &settings.log, &settings.traces)?;
    prepare(settings)?;
    writeln!(io::stdout(), "the settings can be used").context("standard output is closed")
}

fn run(settings: EdgeSettings, source: &Source) -> anyhow::Result<()> {
    let traces = telemetry::init(IDENTITY, &settings.log, &settings.traces)?;
    unknown::warn_unknown(&Cli::command(), source);
    let (runtime, given) = prepare(&settings)?;
    runtime.block_on(async {
        let exporting = traces.export();
        let outcome = serve(settings, given).await;
        let left = outcome.as_ref().map_or(TRACE_FLUSH, Shutdown::left);
        exporting.finish(left.min(TRACE_FLUSH)).await;
        outcome.map(drop)
    })
}

/// What the settings name, before anything of it is connected to.
struct Given {
    bus: Arc<dyn Bus>,
    keys: Arc<JwkSetClient>,
    verifier: VerifierSettings,
    identity: Option<Arc<IdentityKey>>,
    policies: Option<Arc<dyn Policies>>,
}

fn prepare(settings: &EdgeSettings) -> anyhow::Result<(Runtime, Given)> {
    settings.check()?;
    let bus = signal_bus::open(&settings.backplane, settings.stream.bus_subscription.into())?;
    let jwks_url = settings.auth.jwks_url.as_deref().context("SIGNAL_JWKS_URL is not set")?;
    let keys = JwkSetClient::new(jwks_url, settings.auth.jwk_set_options()).context("SIGNAL_JWKS_URL")?;
    let verifier = settings.auth.verifier_settings()?;
    let identity = settings.stream.identity().context("SIGNAL_IDENTITY_KEY")?;
    let runtime = Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    // The pool is made on a runtime, and connects when it is first asked.
    let entered = runtime.enter();
    let policies = settings.database.database_url.as_ref().map(permissions::open).transpose();
    let policies = policies.context("SIGNAL_DATABASE_URL")?;
    drop(entered);
    let given = Given { bus, keys: Arc::new(keys), verifier, identity, policies };
    Ok((runtime, given))
}

/// Until the stop is done; returns what knows how long that may have taken.
async fn serve(mut settings: EdgeSettings, given: Given) -> anyhow::Result<Shutdown> {
    let Given { bus, keys, verifier, identity, policies } = given;
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().context("no signal handlers")?;
    settings.stream.fit_to_open_files().context("the limit of open files")?;
    let metrics = telemetry::metrics();
    let listener = listen::bind(settings.http.http_addr, "SIGNAL_HTTP_ADDR")?;
    let admin_listener = listen::bind(settings.http.admin_addr, "SIGNAL_ADMIN_ADDR")?;

    let health = Health::new();
    let admin_stop = CancellationToken::new();
    let admin = tokio::spawn(admin::serve(admin_listener, admin::router(&health, metrics), admin_stop.clone()));

    let issuer = health.component("issuer");
    let warm = Arc::clone(&keys);
    tokio::spawn(async move { warm.warm(&issuer).await });

    let verifier = Arc::new(Verifier::new(verifier, keys));
    let roles = settings.permissions.always_allow_roles.clone();
    let permissions = Arc::new(Permissions::new(policies.clone(), roles, Clock::system()));
    let serving = health.component("edge");
    let parts = Parts {
        bus,
        verifier,
        identity,
        permissions,
        cluster: ClusterSettings::default(),
        health,
        shutdown: shutdown.clone(),
    };
    let edge = Edge::start(settings.stream, parts).context("no thread for the backplane")?;
    tracing::info!(addr = %settings.http.http_addr, version = env!("CARGO_PKG_VERSION"), "edge started");
    serving.up();
    edge.serve(listener, edge.router(&settings.http.base_path)).await?;

    serving.down("stopping");
    shutdown.drain().await;
    if let Some(policies) = policies {
        // A database that does not answer is no reason to go on living.
        let _ = timeout(shutdown.left(), policies.close()).await;
    }
    admin_stop.cancel();
    // The listener is the last thing to go; how it ends changes nothing any more.
    let _ = timeout(shutdown.left(), admin).await;
    Ok(shutdown)
}
