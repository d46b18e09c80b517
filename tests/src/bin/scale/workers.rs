//! One, two and four workers on one topic: how partitions and rows are shared, and what a row costs.

use std::{collections::BTreeSet, time::Instant};

use anyhow::ensure;
use serde::Serialize;
use signal_harness::{Kafka, Kcat, Postgres, Service, eventually};
use signal_tests::{
    capacity::tables::Table,
    cpu::Cpu,
    stream::{Scale, members::Members, plan::Plan, random::Random, stage::Stage},
};

use crate::{WITHIN, progress};

const PARTITIONS: u32 = 8;
const SEED: u64 = 1;
const PORTION: usize = 4000;

#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    workers: usize,
    events: usize,
    rows: usize,
    rows_per_second: f64,
    /// Of all workers together.
    cpu_us_per_row: f64,
    /// Of the worker with the fewest and of the one with the most.
    partitions: (usize, usize),
    row_share: (f64, f64),
}

pub(crate) async fn measure(
    count: usize,
    postgres: &Postgres,
    kafka: &Kafka,
    events: usize,
) -> anyhow::Result<Measured> {
    progress(&format!("{count} workers with {events} events on {PARTITIONS} partitions"));
    let scale = Scale { partitions: PARTITIONS, ..Scale::FULL };
    let stage = Stage::set(postgres, kafka, scale).await?;
    let mut random = Random::new(SEED);
    let members = Members::generate(&mut random, scale.users, scale.merchants, scale.organizers);
    stage.rows.enrol(&members.enrolments()).await?;
    let plan = Plan::generate(&mut random, members, events, PARTITIONS);
    let expected: BTreeSet<_> = plan.expected.difference(&plan.last_expected).cloned().collect();

    let workers: Vec<Service> = (0..count).map(|_| stage.worker().env("SIGNAL_LOG", "warn").spawn()).collect();
    let partitions = share_out(&workers).await;
    let (before, began) = (spent(&workers)?, Instant::now());
    for portion in plan.records.chunks(PORTION) {
        let produced = Kcat::try_produce_keyed(&kafka.brokers(), &stage.topic, portion).await;
        ensure!(produced.is_ok(), "{produced:?}");
    }
    let rows = eventually(WITHIN, || async {
        let mut rows = Vec::new();
        for worker in &workers {
            rows.push(sum(worker, "signal_worker_rows_total", "inserted").await);
        }
        let all: f64 = rows.iter().sum();
        if all >= expected.len() as f64 { Ok(rows) } else { Err(format!("{all} of {} rows", expected.len())) }
    })
    .await;
    let took = began.elapsed();
    pushed(&workers, expected.len()).await;
    let cpu = spent(&workers)? - before;

    let copies: Vec<_> = stage.rows.all().await?.into_iter().map(|row| (row.event_id, row.recipient_id)).collect();
    let distinct: BTreeSet<_> = copies.iter().cloned().collect();
    ensure!(
        distinct == expected && copies.len() == expected.len(),
        "{} rows are not the rows that must be",
        copies.len()
    );
    let (least, most) = rows.iter().fold((f64::MAX, 0.0f64), |(least, most), rows| (least.min(*rows), most.max(*rows)));
    let all = expected.len() as f64;
    Ok(Measured {
        workers: count,
        events,
        rows: expected.len(),
        rows_per_second: all / took.as_secs_f64(),
        cpu_us_per_row: cpu.total_us() / all,
        partitions,
        row_share: (least / all, most / all),
    })
}

/// Waits until all partitions are some worker's and no worker is without; the fewest and the most of one.
async fn share_out(workers: &[Service]) -> (usize, usize) {
    eventually(WITHIN, || async {
        let mut partitions = Vec::new();
        for worker in workers {
            // One that has not begun has no page yet.
            let ready = worker.health("ready").await.is_ok_and(|answer| answer.status == 200);
            let held = if ready { sum(worker, "signal_worker_kafka_partitions", "").await } else { 0.0 };
            partitions.push(held as usize);
        }
        let (least, most) = (partitions.iter().min().copied(), partitions.iter().max().copied());
        let all: usize = partitions.iter().sum();
        match least.zip(most) {
            // As even as the numbers allow, so that nothing moves any more.
            Some((least, most)) if all == PARTITIONS as usize && most - least <= 1 => Ok((least, most)),
            _ => Err(format!("{partitions:?}")),
        }
    })
    .await
}

async fn pushed(workers: &[Service], expected: usize) {
    eventually(WITHIN, || async {
        let mut pushes = 0.0;
        for worker in workers {
            pushes += sum(worker, "signal_worker_pushes_total", "sent").await;
        }
        if pushes >= expected as f64 { Ok(()) } else { Err(format!("{pushes} of {expected} pushes")) }
    })
    .await;
}

async fn sum(worker: &Service, name: &str, outcome: &str) -> f64 {
    let labels: &[(&str, &str)] = if outcome.is_empty() { &[] } else { &[("outcome", outcome)] };
    worker.metrics().await.sum(name, labels)
}

fn spent(workers: &[Service]) -> anyhow::Result<Cpu> {
    workers.iter().map(|worker| Cpu::of(worker.pid())).sum()
}

pub(crate) fn table(measured: &[Measured]) -> String {
    let columns = ["workers", "rows", "rows/s", "workers' CPU µs per row", "partitions of one", "rows of one"];
    let mut table = Table::new(&columns);
    for one in measured {
        let Measured { partitions: (fewest, most), row_share: (least, largest), .. } = one;
        table.row([
            one.workers.to_string(),
            one.rows.to_string(),
            format!("{:.0}", one.rows_per_second),
            format!("{:.1}", one.cpu_us_per_row),
            if fewest == most { most.to_string() } else { format!("{fewest} to {most}") },
            format!("{:.0} to {:.0} %", 100.0 * least, 100.0 * largest),
        ]);
    }
    table.to_string()
}
