//! `signal`: the whole service with one command.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::CommandFactory;
use signal_service::{
    health::probe,
    settings::{self, Source, unknown},
    shutdown::Shutdown,
    telemetry::{self, Identity, TRACE_FLUSH},
};
use signal_standalone::{
    app,
    config::{Command, Settings},
    demo::alone,
    embedded::database,
    openapi, reference,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const IDENTITY: Identity = Identity { name: "signal", version: env!("CARGO_PKG_VERSION") };

fn main() -> ExitCode {
    let source = Source::process();
    let settings: Settings = match settings::parse(std::env::args_os(), &source) {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    match execute(settings, &source) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; the status says it all the same.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(settings: Settings, source: &Source) -> anyhow::Result<()> {
    match settings.command {
        Some(Command::ConfigReference { json: false }) => say(format_args!("{}", reference::document().trim_end())),
        Some(Command::ConfigReference { json: true }) => say(format_args!("{}", reference::data())),
        Some(Command::Openapi) => say(format_args!("{}", openapi::document().trim_end())),
        Some(Command::CheckConfig) => {
            unknown::refuse_unknown(&Settings::command(), source)?;
            let _traces = telemetry::init(IDENTITY, &settings.own.log_settings(), &settings.traces)?;
            // Some parts ask for a runtime even if they do nothing on it.
            let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
            let _context = runtime.enter();
            app::check(&settings)?;
            say(format_args!("the settings can be used"))
        }
        Some(Command::Health(question)) => {
            probe::ask(settings.own.admin_addr, question).context("not healthy")?;
            Ok(())
        }
        Some(Command::SeedPeople) => {
            let url = settings.database.database_url.as_ref().context("SIGNAL_DATABASE_URL is not set")?;
            let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
            let domain = &settings.pipeline.merchant_domain;
            runtime.block_on(database::seed_people(url, domain)).context("SIGNAL_DATABASE_URL")?;
            say(format_args!("the demo's people are in the database"))
        }
        Some(Command::Demo) => {
            let _traces = telemetry::init(IDENTITY, &settings.own.log_settings(), &settings.traces)?;
            unknown::warn_unknown(&Settings::command(), source);
            let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
            runtime.block_on(demo_alone(&settings))
        }
        None => {
            let traces = telemetry::init(IDENTITY, &settings.own.log_settings(), &settings.traces)?;
            unknown::warn_unknown(&Settings::command(), source);
            let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
            runtime.block_on(async {
                let exporting = traces.export();
                let outcome = run(settings).await;
                exporting.finish(TRACE_FLUSH).await;
                outcome
            })
        }
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // First of all: a stop may come while the parts start.
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().context("signals cannot be listened for")?;
    say(format_args!("Signal {}", env!("CARGO_PKG_VERSION")))?;
    let running = app::start(settings, shutdown, |part, what| {
        // A closed terminal is no reason not to start.
        let _ = say(format_args!("  {part:<10} {what}"));
    })
    .await?;
    say(format_args!("  {:<10} http://{}/metrics", "metrics", running.admin_addr))?;

    let (health, page) = (running.health.clone(), running.page());
    let announce = tokio::spawn(async move {
        health.wait_until_ready().await;
        let _ = say(format_args!("\nReady: open {page} (stop with Ctrl+C)"));
    });
    running.finish().await;
    announce.abort();
    Ok(())
}

async fn demo_alone(settings: &Settings) -> anyhow::Result<()> {
    let shutdown = Shutdown::new(settings.shutdown.shutdown_deadline);
    shutdown.on_signal().context("signals cannot be listened for")?;
    let http_addr = alone::start(settings, &shutdown)?;
    say(format_args!("The demo alone, at http://{http_addr}/"))?;
    shutdown.token().cancelled().await;
    shutdown.drain().await;
    Ok(())
}

fn say(line: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{line}").context("standard output is closed")
}
