//! What Signal's edge and worker cost, beside the least that they could cost, in one run. See `docs/benchmarks.md`.

mod backplane;
mod broadcast;
mod crowd;
mod disconnect;
mod drain;
mod floor;
mod management;
mod pipeline;
mod pushes;
mod report;
mod scene;
mod slow_readers;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use signal_wire::protocol::Protocol;

use crate::report::{Figure, Report};

/// The whole run takes about five minutes; one that takes longer has come to a halt.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Parser)]
#[command(name = "bench", about = "What an edge and a worker cost, with the floor in the same run")]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Clients of a broadcast.
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Idle clients of the memory measurement.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Broadcasts in one measurement.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// How often edge and floor take turns.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Clients that an edge sends away.
    #[arg(long, default_value_t = 5000)]
    draining: usize,
    /// What to measure, separated by commas; everything unless told.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Topic>,
    /// What edges and the publisher meet on. The worker's figures are on Redis, unless SIGNAL_TEST_BACKPLANE says nats.
    #[arg(long, value_enum, default_value = "redis")]
    backplane: scene::Backplane,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Topic {
    /// Memory of an edge and of idle clients, and the CPU of their handshakes.
    Memory,
    /// CPU of sealed messages, beside the floor.
    Broadcast,
    /// How long it takes to close a client that is on another edge.
    Disconnect,
    /// What operators' requests do to pushes.
    Management,
    /// The rate at which a stopped edge's clients come to another.
    Drain,
    /// What clients that stop reading do to others.
    SlowReaders,
    /// Pushes to single people and memory, on Redis and on NATS.
    Pushes,
    /// Rows of a worker, beside a bare loop; records on their way to windows; a worker's memory.
    Pipeline,
    /// What a backplane carries, and what that costs its servers, without an edge.
    Backplane,
}

impl Options {
    fn wants(&self, topic: Topic) -> bool {
        self.only.is_empty() || self.only.contains(&topic)
    }
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The floor alone: seals one message per socket and writes it with one `write(2)`; prints JSON.
    Floor(floor::Options),
    /// The floor's other end.
    #[command(hide = true)]
    FloorReader(floor::reader::Options),
}

fn main() -> ExitCode {
    let Cli { options, part } = Cli::parse();
    let done = match part {
        Some(Part::Floor(options)) => floor::run(&options),
        Some(Part::FloorReader(options)) => floor::reader::run(&options),
        None => run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    signal_tests::open_files::raise(options.idle.max(2 * options.clients).max(2 * options.draining) + 500)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, measure(options))
            .await
            .with_context(|| format!("not done within {DEADLINE:?}"))?
    })?;
    report.print(options.json);
    Ok(())
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::default();
    if options.wants(Topic::Memory) {
        report::progress("an empty edge, and idle clients");
        memory(options, &mut report).await?;
    }
    if options.wants(Topic::Broadcast) {
        broadcast::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Disconnect) {
        disconnect::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Management) {
        management::measure(options, &mut report).await?;
    }
    if options.wants(Topic::SlowReaders) {
        slow_readers::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Drain) {
        drain::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Pushes) {
        pushes::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Pipeline) {
        pipeline::measure(options, &mut report).await?;
    }
    if options.wants(Topic::Backplane) {
        backplane::measure(options, &mut report).await?;
    }
    Ok(report)
}

async fn memory(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let scene = scene::Scene::up(options.backplane).await?;
    let empty = scene.edge.rss_kib() as f64;
    report.add(Figure::new("edge_memory_mib", "memory of an empty edge, MiB").one(empty / 1024.0).bounds(20.0, 10.0));

    let tokens = scene.tokens(options.idle);
    let before = scene.cpu()?;
    let crowd = crowd::Crowd::connect(scene.edge.http_addr(), &tokens, Protocol::V2).await?;
    let cost = scene.cpu()? - before;
    // Handshakes leave garbage which the allocator gives back after a while; idle is what comes then.
    let idle = scene.settled_rss_kib().await;
    let each = (idle - empty) / options.idle as f64;
    report.add(
        Figure::new("client_memory_kib", &format!("memory per idle client at {}, KiB", options.idle))
            .one(each)
            .bounds(6.0, 4.0),
    );
    scene.broadcast(&crowd, 4).await?;
    let used = (scene.settled_rss_kib().await - empty) / options.idle as f64;
    report.add(Figure::new("client_memory_after_traffic_kib", "the same after four broadcasts, KiB").one(used));
    report.add(
        Figure::new("handshake_cpu_us", "connect, token, handshake, CPU µs").one(cost.total_us() / options.idle as f64),
    );
    crowd.leave().await;
    Ok(())
}
