//! Rows a second of one worker that finds a full topic, and of the bare loop that writes the same rows.

use std::time::{Duration, Instant};

use anyhow::ensure;
use signal_harness::{Kcat, Service};
use signal_tests::stream::{members::Members, plan::Plan, random::Random, stage::Stage};
use tokio::time::sleep;

use super::{
    START,
    bare::{Written, connect, empty},
    mib, worker,
};
use crate::{
    Options,
    report::{Figure, Report, progress},
};

const EVENTS: usize = 8000;
const SEED: u64 = 1;
const PORTION: usize = 4000;
const TURNS: usize = 5;
/// A hundredth of a turn.
const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

pub(super) async fn measure(stage: &Stage<'_>, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let expected = fill(stage).await?;
    let mut connection = connect(stage.database.url()).await?;
    let (mut rates, mut bare, mut ratios, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let turns = options.pairs.min(TURNS);
    for turn in 1..=turns {
        progress(&format!("{expected} rows by a worker and by a bare loop, turn {turn} of {turns}"));
        empty(&mut connection).await?;
        let worker = worker(stage).env("SIGNAL_KAFKA_GROUP", format!("turn-{turn}")).spawn();
        let rate = rate(&worker, expected).await?;
        memory.push(mib(worker.peak_rss_kib()));
        worker.kill();
        let written = Written::read(&mut connection).await?;
        ensure!(written.len() == expected, "{} rows instead of {expected}", written.len());
        empty(&mut connection).await?;
        let floor = written.write_again(&mut connection).await?;
        rates.push(rate);
        bare.push(floor);
        ratios.push(rate / floor);
    }
    report.add(Figure::new("rows_per_second", "rows a second of one worker").many(rates));
    report.add(Figure::new("bare_rows_per_second", "  of a bare loop of the same insert").many(bare));
    report.add(Figure::new("rows_ratio", "  ratio").many(ratios).at_least(0.4, 0.7));
    let title = format!("memory of the worker with {EVENTS} records waiting, MiB");
    report.add(Figure::new("worker_memory_mib", &title).many(memory).bounds(150.0, 60.0));
    Ok(())
}

/// The topic, once for all turns; how many rows it makes.
async fn fill(stage: &Stage<'_>) -> anyhow::Result<usize> {
    progress(&format!("a topic of {EVENTS} events"));
    let (scale, mut random) = (stage.scale, Random::new(SEED));
    let members = Members::generate(&mut random, scale.users, scale.merchants, scale.organizers);
    stage.rows.enrol(&members.enrolments()).await?;
    let plan = Plan::generate(&mut random, members, EVENTS, scale.partitions);
    for portion in plan.records.chunks(PORTION) {
        let produced = Kcat::try_produce_keyed(&stage.kafka.brokers(), &stage.topic, portion).await;
        ensure!(produced.is_ok(), "{produced:?}");
    }
    Ok(plan.expected.len() - plan.last_expected.len())
}

/// From the end of the first batch to the end of the last one, pushes and all: how long the group takes to give a
/// worker its partitions is another matter.
async fn rate(worker: &Service, expected: usize) -> anyhow::Result<f64> {
    worker.wait_ready(START).await;
    let (began, before) = reached(worker, 1.0).await;
    let (ended, after) = reached(worker, expected as f64).await;
    ensure!(after == expected as f64 && before < after, "{before}, then {after} rows instead of {expected}");
    Ok((after - before) / (ended - began).as_secs_f64())
}

/// When there were at least so many rows, and how many.
async fn reached(worker: &Service, rows: f64) -> (Instant, f64) {
    let look = || async {
        let there = worker.metrics().await.sum("signal_worker_rows_total", &[("outcome", "inserted")]);
        if there >= rows {
            return Ok((Instant::now(), there));
        }
        // Whoever asks all the time takes the processor from the worker.
        sleep(BETWEEN_LOOKS).await;
        Err(format!("{there} of {rows} rows"))
    };
    worker.wait_until(5 * START, look).await
}
