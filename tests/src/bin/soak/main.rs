//! What must hold, at full size. See `docs/testing.md` and `docs/reliability.md`, which it writes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod pipeline;
mod report;
mod scenario;

use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use clap::Parser;
use futures_util::FutureExt;
use signal_harness::{Kafka, Kcat, Postgres, PubSub, Server};
use signal_tests::{
    faults::Size,
    open_files, rollout,
    stream::{Scale, random::Random},
};

use self::{
    report::{Outcome, Report},
    scenario::Scenario,
};

/// Sockets of the largest scenario, at both ends.
const OPEN_FILES: usize = 15_000;

#[derive(Debug, Parser)]
#[command(name = "soak", about = "What must hold while everything that Signal depends on fails")]
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
    /// Writes a page of what was found.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    scale: Scale,
    size: Size,
    rollout: rollout::Scale,
    seed: u64,
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
    open_files::raise(OPEN_FILES)?;
    let seed = cli.seed.unwrap_or_else(Random::seed);
    let sizes = if cli.quick {
        Sizes { scale: Scale::QUICK, size: Size::QUICK, rollout: rollout::Scale::QUICK, seed }
    } else {
        Sizes { scale: Scale::FULL, size: Size::FULL, rollout: rollout::Scale::FULL, seed }
    };
    println!("seed {seed}");
    let mut report = Report::new(seed, cli.quick);
    for scenario in Scenario::ALL {
        if !cli.only.is_empty() && !cli.only.contains(&scenario) {
            report.add(scenario, Outcome::Skipped("left out of this run by `--only`".to_owned()), Duration::ZERO);
            continue;
        }
        let began = Instant::now();
        let outcome = match scenario.lacks() {
            Some(lacking) => Outcome::Skipped(lacking),
            // One that does not hold must not keep the others from being played.
            None => match AssertUnwindSafe(scenario.play(sizes)).catch_unwind().await {
                Ok(Ok(findings)) => Outcome::Held(findings),
                Ok(Err(error)) => Outcome::Broken(format!("{error:#}")),
                Err(panic) => Outcome::Broken(said(&*panic)),
            },
        };
        println!("{}: {outcome} ({:.0} s)", scenario.name(), began.elapsed().as_secs_f64());
        report.add(scenario, outcome, began.elapsed());
    }
    if let Some(page) = &cli.report {
        std::fs::write(page, report.to_string()).with_context(|| page.display().to_string())?;
    }
    ensure!(report.holds(), "not everything held, seed {seed}");
    Ok(())
}

/// What a panic says, which the harness does where it waits in vain.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a word").to_owned()
}
