//! What an event and a row cost a worker: two topics of as many rows, in few events and in many.

use anyhow::ensure;
use serde_json::json;
use signal_harness::{Kafka, Kcat, Postgres};
use signal_tests::{
    capacity::costs::UnitCosts,
    cpu::Cpu,
    stream::{Scale, stage::Stage},
};

use crate::WITHIN;

const ROWS: usize = 60_000;
/// Recipients of an event.
const FEW: usize = 2;
const MANY: usize = 100;
const MERCHANTS: usize = 50;
const PORTION: usize = 5000;

pub(super) async fn measure(postgres: &Postgres, kafka: &Kafka, costs: &mut UnitCosts) -> anyhow::Result<()> {
    let few = spent_us(postgres, kafka, FEW).await?;
    let many = spent_us(postgres, kafka, MANY).await?;
    // Both have as many rows, and differ in how many events those come of.
    let (events_of_few, events_of_many) = ((ROWS / FEW) as f64, (ROWS / MANY) as f64);
    costs.event_us = ((few - many) / (events_of_few - events_of_many)).max(0.0);
    costs.row_us = (many - costs.event_us * events_of_many) / ROWS as f64;
    Ok(())
}

/// CPU time of a worker that finds so many rows' worth of events, from the moment that it is ready.
async fn spent_us(postgres: &Postgres, kafka: &Kafka, recipients: usize) -> anyhow::Result<f64> {
    let stage = Stage::set(postgres, kafka, Scale { partitions: 1, ..Scale::FULL }).await?;
    let member = |merchant: usize, person: usize| (format!("Merchant_mer-{merchant}"), format!("{merchant}-{person}"));
    let members = (0..MERCHANTS).flat_map(|merchant| (0..recipients).map(move |person| member(merchant, person)));
    stage.rows.enrol(&members.collect::<Vec<_>>()).await?;
    let worker = stage.worker().env("SIGNAL_LOG", "warn").spawn();
    worker.wait_ready(WITHIN).await;
    let before = Cpu::of(worker.pid())?;
    let records: Vec<(String, String)> = (0..ROWS / recipients).map(record).collect();
    for portion in records.chunks(PORTION) {
        let produced = Kcat::try_produce_keyed(&kafka.brokers(), &stage.topic, portion).await;
        ensure!(produced.is_ok(), "{produced:?}");
    }
    worker
        .wait_until(WITHIN, || async {
            let metrics = worker.metrics().await;
            let rows = metrics.sum("signal_worker_rows_total", &[("outcome", "inserted")]);
            let pushes = metrics.sum("signal_worker_pushes_total", &[("outcome", "sent")]);
            if rows.min(pushes) >= ROWS as f64 { Ok(()) } else { Err(format!("{rows} rows, {pushes} pushes")) }
        })
        .await;
    let spent = Cpu::of(worker.pid())? - before;
    let rows = stage.rows.count().await?;
    ensure!(rows == ROWS as u64, "{rows} rows instead of {ROWS}");
    Ok(spent.total_us())
}

fn record(number: usize) -> (String, String) {
    let merchant = format!("mer-{}", number % MERCHANTS);
    let data = json!({ "amount": "125000", "currency": "VND", "orderCode": "A-1042", "merchantName": "Cà Phê 79" });
    let event = json!({
        "id": format!("evt_{number}"), "type": "PAYMENT_SUCCESS", "occurredAt": "2026-11-23T08:00:00.000Z",
        "merchantId": merchant, "data": data,
    });
    (merchant, event.to_string())
}
