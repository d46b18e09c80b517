//! What the worker makes of a topic: rows a second beside a bare loop of the same insert, the time from a record to a
//! client's screen, and its memory, on real Kafka, Postgres and Redis.

mod bare;
mod large;
mod latency;
mod rate;

use std::time::Duration;

use anyhow::{Context, ensure};
use signal_harness::{Kafka, Kcat, Launch, Postgres, Server};
use signal_tests::stream::{Scale, stage::Stage};

use crate::{
    Options,
    report::{Report, progress},
};

const START: Duration = Duration::from_secs(60);

pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    for needed in [Postgres::available(), Kafka::available(), Kcat::available()] {
        let Err(missing) = needed else { continue };
        // Whoever wants all that can be had gets the rest.
        ensure!(options.only.is_empty(), "the pipeline is measured on real servers: {missing}");
        progress(&format!("the pipeline is not measured: {missing}"));
        return Ok(());
    }
    let (postgres, kafka) = tokio::join!(Postgres::launch(), Kafka::launch());
    let set = async || Stage::set(&postgres, &kafka, Scale::FULL).await.context("no stage");
    rate::measure(&set().await?, options, report).await?;
    latency::measure(&set().await?, report).await?;
    large::measure(&set().await?, report).await?;
    large::backlog(&set().await?, report).await
}

/// A worker as in production, but for its log.
fn worker(stage: &Stage<'_>) -> Launch {
    stage.worker().env("SIGNAL_LOG", "warn")
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
