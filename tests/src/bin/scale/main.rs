//! How the load is shared as edges and workers are added, what a unit of work costs, and what that comes to for a
//! fleet that no test can start. See `docs/capacity.md`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod crowd;
mod edges;
mod kernel;
mod publisher;
mod units;
mod workers;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, ensure};
use clap::{Args, Parser};
use serde::Serialize;
use signal_harness::{Issuer, Kafka, Kcat, Launch, Postgres, Redis, Server, Service};
use signal_tests::{
    capacity::{self, costs::UnitCosts, load::Need},
    launch, open_files,
};

/// The whole run takes some five minutes; one that takes longer has come to a halt.
const DEADLINE: Duration = Duration::from_secs(30 * 60);
/// For whatever is waited for, before it counts as never coming.
const WITHIN: Duration = Duration::from_secs(120);
/// How many of each there are, in turn.
const COUNTS: [usize; 3] = [1, 2, 4];

#[derive(Debug, Parser)]
#[command(name = "scale", about = "How edges and workers share their load, and what a larger fleet would need")]
struct Cli {
    #[command(flatten)]
    options: Options,
    /// What to measure, separated by commas; everything unless told.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Topic>,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Where the unit costs are written.
    #[arg(long, default_value = "target/unit-costs.json")]
    costs_out: PathBuf,
    /// Measures nothing: works out what a fleet needs from unit costs that were measured.
    #[arg(long)]
    simulate: bool,
    /// The unit costs for that; those in the repository unless told.
    #[arg(long, requires = "simulate")]
    costs: Option<PathBuf>,
    /// Connections of a fleet of one's own, instead of the tables.
    #[arg(long, requires_all = ["simulate", "messages"])]
    connections: Option<f64>,
    /// Its messages a second to single people.
    #[arg(long, requires_all = ["simulate", "connections"])]
    messages: Option<f64>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Options {
    /// Clients of all edges together, each another person.
    #[arg(long, default_value_t = 2000)]
    clients: usize,
    /// Messages a second to single people.
    #[arg(long, default_value_t = 4000)]
    rate: usize,
    /// Silent clients for memory and heartbeats.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Events for each number of workers.
    #[arg(long, default_value_t = 8000)]
    events: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Topic {
    /// One, two and four edges.
    Edges,
    /// One, two and four workers.
    Workers,
    /// What a message, a connection, a row costs.
    Units,
}

#[derive(Debug, Default, Serialize)]
struct Figures {
    edges: Vec<edges::Measured>,
    workers: Vec<workers::Measured>,
    units: Option<UnitCosts>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if cli.simulate {
        return simulate(cli);
    }
    // Both ends of each connection of the load are in this process and its children.
    open_files::raise(cli.options.idle.max(cli.options.clients) + 1000)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, measure(cli)).await.with_context(|| format!("not done within {DEADLINE:?}"))?
    })?;
    if let Some(units) = &figures.units {
        units.write(&cli.costs_out)?;
        progress(&format!("unit costs are in {}", cli.costs_out.display()));
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    if !figures.edges.is_empty() {
        println!("{}", edges::table(&figures.edges));
    }
    if !figures.workers.is_empty() {
        println!("{}", workers::table(&figures.workers));
    }
    if let Some(units) = &figures.units {
        println!("{}", capacity::tables::unit_costs(units));
    }
    Ok(())
}

fn simulate(cli: &Cli) -> anyhow::Result<()> {
    let costs = match &cli.costs {
        Some(path) => UnitCosts::read(path)?,
        None => UnitCosts::committed(),
    };
    match (cli.connections, cli.messages) {
        (Some(connections), Some(messages)) => {
            ensure!(connections >= 1.0 && messages >= 0.0, "a fleet has connections, and no fewer messages than none");
            println!("{}", capacity::tables::sizing(&costs, &[Need { connections, messages }]));
        }
        _ => println!("{}", capacity::tables::all(&costs)),
    }
    Ok(())
}

async fn measure(cli: &Cli) -> anyhow::Result<Figures> {
    let wants = |topic| cli.only.is_empty() || cli.only.contains(&topic);
    ensure!(Redis::available().is_ok(), "{:?}", Redis::available());
    let mut figures = Figures::default();
    if wants(Topic::Edges) {
        for count in COUNTS {
            figures.edges.extend(edges::measure(count, &cli.options).await.with_context(|| format!("{count} edges"))?);
        }
    }
    if wants(Topic::Workers) || wants(Topic::Units) {
        for needed in [Postgres::available(), Kafka::available(), Kcat::available()] {
            ensure!(needed.is_ok(), "{needed:?}");
        }
        let (postgres, kafka) = tokio::join!(Postgres::launch(), Kafka::launch());
        if wants(Topic::Workers) {
            for count in COUNTS {
                let measured = workers::measure(count, &postgres, &kafka, cli.options.events).await;
                figures.workers.push(measured.with_context(|| format!("{count} workers"))?);
            }
        }
        if wants(Topic::Units) {
            figures.units = Some(units::measure(&cli.options, &postgres, &kafka).await?);
        }
    }
    Ok(figures)
}

/// An edge as in production, but for its log, and for silent clients, whom it lets be.
pub(crate) fn edge(redis: &Redis, issuer: &Issuer) -> Launch {
    launch::edge(redis, issuer)
        .env("SIGNAL_JOINABLE_ROOMS", "room-*")
        .env("SIGNAL_HEARTBEAT_TIMEOUT", "3600s")
        .env("SIGNAL_LOG", "warn")
}

/// How many envelopes an edge has read.
pub(crate) async fn envelopes_read(edge: &Service) -> u64 {
    edge.metrics().await.sum("signal_edge_bus_messages_total", &[]) as u64
}

/// Where the run is, for whoever waits.
pub(crate) fn progress(what: &str) {
    eprintln!("scale: {what}");
}
