//! What must hold, at full size. See `docs/testing.md`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Server};
use signal_tests::{
    open_files, rollout,
    stream::{Scale, crowd, faults, random::Random, run::Run, stage::Stage},
};

/// What a worker may take, whatever waits.
const MEMORY_MIB: u64 = 150;

#[derive(Debug, Parser)]
#[command(
    name = "soak",
    about = "Streams of events while workers, Kafka, Postgres and the backplane die, or are replaced"
)]
struct Cli {
    /// Which scenarios, separated by commas; all of them unless told.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// The stream and the choice of faults; another one each time unless told.
    #[arg(long)]
    seed: Option<u64>,
    /// As small as in `make test`.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// The worker is killed, again and again.
    Kills,
    /// Kafka, Postgres and the backplane are stopped, one after the other.
    Outages,
    /// Two workers, then four, then one.
    Group,
    /// A hundred thousand recipients of one event, and a backlog behind it.
    Crowd,
    /// Three edges and two workers become another version, and then what they were.
    Rollout,
}

impl Scenario {
    const ALL: [Self; 5] = [Self::Kills, Self::Outages, Self::Group, Self::Crowd, Self::Rollout];
}

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime can't be started")
        .and_then(|runtime| runtime.block_on(soak(&Cli::parse())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(cli: &Cli) -> anyhow::Result<()> {
    for needed in [Postgres::available(), PubSub::available(), Kafka::available(), Kcat::available()] {
        ensure!(needed.is_ok(), "{needed:?}");
    }
    let seed = cli.seed.unwrap_or_else(Random::seed);
    println!("seed {seed}");
    for scenario in Scenario::ALL.into_iter().filter(|scenario| cli.only.is_empty() || cli.only.contains(scenario)) {
        let figures = play(scenario, cli.quick, seed).await.with_context(|| format!("{scenario:?}, seed {seed}"))?;
        println!("{scenario:?}: {figures}");
    }
    Ok(())
}

/// With servers of its own, so that one scenario leaves nothing to the next.
async fn play(scenario: Scenario, quick: bool, seed: u64) -> anyhow::Result<String> {
    let (postgres, kafka) = tokio::join!(Postgres::launch(), Kafka::launch());
    if scenario == Scenario::Rollout {
        open_files::raise(4000)?;
        let scale = if quick { rollout::Scale::QUICK } else { rollout::Scale::FULL };
        return Ok(rollout::play::play(&postgres, &kafka, scale, seed).await?.to_string());
    }
    let scale = if quick { Scale::QUICK } else { Scale::FULL };
    let stage = Stage::set(&postgres, &kafka, scale).await?;
    if scenario == Scenario::Crowd {
        let measured = crowd::measure(&stage).await?;
        measured.check(MEMORY_MIB)?;
        return Ok(measured.to_string());
    }
    let mut run = Run::begin(&stage, seed).await?;
    let done = match scenario {
        Scenario::Kills => faults::kills(&mut run).await?,
        Scenario::Outages => faults::outages(&mut run).await?,
        _ => faults::comings_and_goings(&mut run).await?,
    };
    Ok(format!("{}: {}", done.what, run.finish().await?))
}
