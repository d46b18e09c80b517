//! One event to a hundred thousand people: how long until all rows are there and pushed, and what it takes in memory.

use std::time::Instant;

use anyhow::ensure;
use signal_harness::Service;
use signal_tests::stream::{crowd, stage::Stage};

use super::{START, mib, worker};
use crate::report::{Figure, Report, progress};

/// The small one is what a worker has in hand at once anyway.
const AUDIENCES: [usize; 2] = [10_000, 100_000];

pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let [few, many] = AUDIENCES;
    progress(&format!("one event to {few} people, another one to {many}"));
    for (number, size) in AUDIENCES.into_iter().enumerate() {
        crowd::enrol(stage, &merchant(number), size).await?;
    }
    let (_, with_few) = one(stage, 0).await?;
    let (took, with_many) = one(stage, 1).await?;
    let title = format!("one event to {many} people: rows and pushes after, s");
    report.add(Figure::new("large_event_s", &title).one(took).goal(3.0));
    let title = format!("  memory beyond that for {few}, MiB");
    report.add(Figure::new("large_event_growth_mib", &title).one(mib(with_many) - mib(with_few)).bounds(16.0, 4.0));
    Ok(())
}

/// The memory of a worker that has such an event to do, and a backlog behind it.
pub(super) async fn backlog(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    progress("a backlog behind another one");
    let measured = crowd::measure(stage).await?;
    let title = format!("  memory with {} records of 2 KiB behind it, MiB", measured.backlog);
    report.add(Figure::new("large_backlog_mib", &title).one(mib(measured.peak_kib)).bounds(150.0, 60.0));
    Ok(())
}

fn merchant(number: usize) -> String {
    format!("mer-{number}")
}

/// How long a worker that waits for it takes, and the most memory that it has had, in KiB.
async fn one(stage: &Stage<'_>, number: usize) -> anyhow::Result<(f64, u64)> {
    let expected = AUDIENCES[number] as f64;
    let worker = worker(stage).spawn();
    worker.wait_ready(START).await;
    let event = format!("evt_{number}");
    let began = Instant::now();
    crowd::produce(stage, &event, &merchant(number)).await?;
    worker
        .wait_until(START, || async {
            let (rows, pushes) = so_far(&worker).await;
            if rows >= expected && pushes >= expected { Ok(()) } else { Err(format!("{rows} rows, {pushes} pushes")) }
        })
        .await;
    let took = began.elapsed().as_secs_f64();
    let rows = stage.rows.count_of(&[event.as_str()]).await?;
    ensure!(rows == AUDIENCES[number], "{rows} rows instead of {expected}");
    Ok((took, worker.peak_rss_kib()))
}

async fn so_far(worker: &Service) -> (f64, f64) {
    let metrics = worker.metrics().await;
    let of = |name: &str, outcome: &str| metrics.sum(name, &[("outcome", outcome)]);
    (of("signal_worker_rows_total", "inserted"), of("signal_worker_pushes_total", "sent"))
}
