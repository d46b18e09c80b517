//! `signal-worker`: reads its settings and does what it is told.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;
use signal_service::{
    health::probe,
    settings::{Source, parse, unknown},
    telemetry::{self, Identity, TRACE_FLUSH},
};
use signal_worker::{
    app,
    config::{Cli, Command},
    explain::Report,
    migrate,
    replay::Ending,
    store::Migration,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// One arena, where the allocator would have four for each core and keep what each had at its fullest. One batch is at
/// work at a time: there is nobody to wait for. Read by jemalloc before `main`.
#[allow(unsafe_code, reason = "the name is jemalloc's own, and nothing else has it")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8; 10] = b"narenas:1\0";

const IDENTITY: Identity = Identity { name: "signal-worker", version: env!("CARGO_PKG_VERSION") };

fn main() -> ExitCode {
    let source = Source::process();
    let cli: Cli = match parse(std::env::args_os(), &source) {
        Ok(cli) => cli,
        Err(error) => return error.report(),
    };
    match execute(&cli, &source) {
        Ok(status) => status,
        Err(error) => {
            // Standard error may be closed; the status says it all the same.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli, source: &Source) -> anyhow::Result<ExitCode> {
    let settings = &cli.settings;
    let traces = telemetry::init(IDENTITY, &settings.log, &settings.traces)?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime can't be started")?;
    match cli.command.as_ref().unwrap_or(&Command::Run) {
        Command::Run => {
            unknown::warn_unknown(&Cli::command(), source);
            runtime.block_on(async {
                let exporting = traces.export();
                let outcome = app::run(settings).await;
                exporting.finish(TRACE_FLUSH).await;
                outcome
            })?;
        }
        &Command::Migrate { with_core_schema, check } => {
            let migration = match (check, with_core_schema) {
                (true, _) => Migration::Check,
                (false, true) => Migration::CoreSchemaAndSeed,
                (false, false) => Migration::Seed,
            };
            let url = settings.database.database_url.as_ref();
            for warning in runtime.block_on(migrate::migrate(url, migration))? {
                tracing::warn!(detail = %warning, "the database could fit better");
            }
            if check {
                writeln!(std::io::stdout(), "the database fits").context("standard output is closed")?;
            } else {
                tracing::info!(with_core_schema, "the database has what Signal needs");
            }
        }
        Command::Explain(args) => {
            let facts = runtime.block_on(app::explain(settings, args))?;
            let text = if args.json { format!("{:#}\n", facts.json()) } else { Report(&facts).to_string() };
            write!(std::io::stdout(), "{text}").context("standard output is closed")?;
        }
        Command::Replay(asked) => {
            unknown::warn_unknown(&Cli::command(), source);
            let replayed = runtime.block_on(app::replay(settings, asked))?;
            let report = &replayed.report;
            let text = if asked.json { format!("{}\n", report.json()) } else { report.to_string() };
            write!(std::io::stdout(), "{text}").context("standard output is closed")?;
            // A question that Kafka has not answered yet is not waited for.
            runtime.shutdown_background();
            return Ok(status(&replayed, asked.strict));
        }
        Command::DeadLetters(command) => {
            let succeeded = runtime.block_on(app::dead_letters::run(settings, command, &mut std::io::stdout()))?;
            return Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        &Command::Health(question) => probe::ask(settings.http.admin_addr, question).context("not healthy")?,
        Command::CheckConfig => {
            unknown::refuse_unknown(&Cli::command(), source)?;
            let _context = runtime.enter();
            app::check(settings)?;
            writeln!(std::io::stdout(), "the settings can be used").context("standard output is closed")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a replay ends with: like a shell's word for the signal that ended it, 3 for what `--strict` asks after.
fn status(replayed: &app::Replayed, strict: bool) -> ExitCode {
    match (&replayed.report.ending, replayed.signal) {
        (Ending::Stopped, Some(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        (Ending::Stopped | Ending::Failed(_), _) => ExitCode::FAILURE,
        (Ending::Finished | Ending::FinishedBefore, _) if strict && replayed.report.has_loose_ends() => {
            ExitCode::from(3)
        }
        (Ending::Finished | Ending::FinishedBefore, _) => ExitCode::SUCCESS,
    }
}
