//! What goes wrong while a stream runs. Moments are points of its progress, chosen by its seed.

use std::{sync::OnceLock, time::Instant};

use anyhow::ensure;
use signal_harness::{Chaos, Service, Signal, eventually};

use super::run::Run;

/// What was done, and the worker that goes on.
#[derive(Debug)]
pub struct Done {
    pub what: String,
    pub worker: Service,
    /// Networks that the worker goes on to depend on.
    pub ways: Vec<Chaos>,
}

/// Where in a worker's work it is killed, once its moment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Killing {
    /// Between two pushes, wherever that is.
    Pushing,
    /// While an insert is under way.
    Writing,
    /// Rows are there, and nobody may have been told yet.
    Written,
}

/// Kills the worker at so many moments, and starts it again each time.
///
/// # Errors
/// If the database can't be asked.
pub async fn kills(run: &mut Run<'_>) -> anyhow::Result<Done> {
    let scale = run.stage.scale;
    let launch = || if scale.same_member { run.stage.worker_of_place("only") } else { run.stage.worker() };
    let mut random = run.random.clone();
    let mut worker = launch().spawn();
    // Behind the last of them there is work left to do.
    for moment in random.moments(0, run.plan.expected.len() * 9 / 10, scale.kills) {
        // Each of them has done something.
        run.pushed(&worker, (moment as u64).max(run.ear.distinct() + 1)).await;
        let how = *random.one(&[Killing::Pushing, Killing::Writing, Killing::Written]);
        let before = run.stage.rows.count().await?;
        worker
            .wait_until(scale.within, || async {
                let rows = run.stage.rows.count().await.map_err(|error| error.to_string())?;
                let writing = run.stage.rows.being_written().await.map_err(|error| error.to_string())?;
                // The moment of a write may be too short to be seen.
                let now = match how {
                    Killing::Pushing => true,
                    Killing::Writing => writing || rows > before,
                    Killing::Written => rows > before,
                };
                if now || rows == run.plan.expected.len() as u64 {
                    Ok(())
                } else {
                    Err(format!("{how:?}: {rows} rows"))
                }
            })
            .await;
        worker.kill();
        worker = launch().spawn();
    }
    Ok(Done { what: format!("{} kills", scale.kills), worker, ways: Vec::new() })
}

/// Stops Kafka, Postgres and the backplane in turn, in any order, each until it was missed.
///
/// # Errors
/// If the worker did not notice.
pub async fn outages(run: &mut Run<'_>) -> anyhow::Result<Done> {
    #[derive(Clone, Copy, Debug)]
    enum Away {
        Kafka,
        Postgres,
        Backplane,
    }
    let mut random = run.random.clone();
    let order = random.some(&[Away::Kafka, Away::Postgres, Away::Backplane], 3);
    let what = format!("{order:?} away for {:?} each", run.stage.scale.outage);
    let worker = run.stage.worker().spawn();
    for (moment, away) in
        random.moments(run.plan.records.len() / 10, run.plan.records.len() * 8 / 10, 3).iter().zip(order)
    {
        run.produced(*moment).await;
        run.pushed(&worker, run.ear.distinct() + 1).await;
        match away {
            Away::Kafka => without_kafka(run, &worker).await,
            Away::Postgres => without_postgres(run, &worker).await,
            Away::Backplane => without_backplane(run, &worker).await?,
        }
        worker.wait_ready(run.stage.scale.within).await;
        run.pushed(&worker, run.ear.distinct() + 1).await;
    }
    Ok(Done { what, worker, ways: Vec::new() })
}

/// Waits until an outage has lasted and been noticed.
async fn lasts(run: &Run<'_>, worker: &Service, noticed: impl AsyncFn() -> Result<(), String>) {
    let (began, scale) = (Instant::now(), run.stage.scale);
    worker
        .wait_until(scale.within, || async {
            noticed().await?;
            let lasted = began.elapsed();
            if lasted >= scale.outage { Ok(()) } else { Err(format!("away for {lasted:?}")) }
        })
        .await;
}

async fn without_kafka(run: &Run<'_>, worker: &Service) {
    let refused = run.producer.refused();
    run.stage.kafka.stop().await;
    lasts(run, worker, async || {
        let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
        let noticed = ready.status == 503 && run.producer.refused() > refused;
        if noticed { Ok(()) } else { Err(format!("{} {}", ready.status, ready.body)) }
    })
    .await;
    run.stage.kafka.start().await;
}

async fn without_postgres(run: &Run<'_>, worker: &Service) {
    const RETRIES: &str = "signal_worker_store_retries_total";
    let before = worker.metrics().await.sum(RETRIES, &[]);
    run.stage.postgres.stop().await;
    lasts(run, worker, async || {
        let retries = worker.metrics().await.sum(RETRIES, &[]) - before;
        if retries >= 3.0 { Ok(()) } else { Err(format!("{retries} retries")) }
    })
    .await;
    run.stage.postgres.start().await;
}

/// Rows go on meanwhile, and afterwards everybody is told.
async fn without_backplane(run: &Run<'_>, worker: &Service) -> anyhow::Result<()> {
    const PUSHES: (&str, &[(&str, &str)]) = ("signal_worker_pushes_total", &[("outcome", "missed")]);
    let told_before = run.people.ask(|window| window.resyncs);
    let missed_before = worker.metrics().await.sum(PUSHES.0, PUSHES.1);
    run.stage.pubsub.stop().await;
    let rows_at_first_miss = OnceLock::new();
    lasts(run, worker, async || {
        let missed = worker.metrics().await.sum(PUSHES.0, PUSHES.1) - missed_before;
        let rows = run.stage.rows.count().await.map_err(|error| error.to_string())?;
        let gone_on = missed > 0.0 && rows > *rows_at_first_miss.get_or_init(|| rows);
        if gone_on { Ok(()) } else { Err(format!("{missed} missed, {rows} rows")) }
    })
    .await;
    run.stage.pubsub.start().await;
    eventually(run.stage.scale.within, || async {
        let told = run.people.ask(|window| window.resyncs);
        let waiting = told.iter().zip(&told_before).filter(|(now, before)| now == before).count();
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} windows were not told to read again")) }
    })
    .await;
    Ok(())
}

/// Two workers, then four, then one; of the three that go, one is killed.
///
/// # Errors
/// If one that was told to stop did not do so in order.
pub async fn comings_and_goings(run: &mut Run<'_>) -> anyhow::Result<Done> {
    let (scale, mut random) = (run.stage.scale, run.random.clone());
    let [grow, shrink] = random.moments(run.plan.records.len() / 10, run.plan.records.len() * 7 / 10, 2)[..] else {
        unreachable!("two were asked for")
    };
    let mut workers: Vec<Service> = (0..2).map(|_| run.stage.worker().spawn()).collect();
    run.produced(grow).await;
    all_write(run, &workers).await;
    workers.extend((0..2).map(|_| run.stage.worker().spawn()));
    run.produced(shrink).await;
    all_write(run, &workers).await;

    let mut endings = random.some(&[Signal::Term, Signal::Term, Signal::Kill], 3);
    let what = format!("2 workers, then 4, then 1: {endings:?}");
    while let Some(ending) = endings.pop() {
        let leaver = workers.swap_remove(random.below(workers.len()));
        leaver.signal(ending);
        let status = leaver.wait_exit(scale.within).await;
        ensure!(ending == Signal::Kill || status.success(), "{status}\n{}", leaver.output());
    }
    Ok(Done { what, worker: workers.swap_remove(0), ways: Vec::new() })
}

/// Waits until each of them has written rows, and so has its part of the topic.
async fn all_write(run: &Run<'_>, workers: &[Service]) {
    for worker in workers {
        worker
            .wait_until(run.stage.scale.within, || async {
                let rows = worker.metrics().await.sum("signal_worker_rows_total", &[("outcome", "inserted")]);
                if rows > 0.0 { Ok(()) } else { Err("one of the workers has written nothing".to_owned()) }
            })
            .await;
    }
}
