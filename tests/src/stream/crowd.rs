//! One event to a hundred thousand people, and thousands of records that wait behind it: what a worker's memory is then.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::{Value, json};
use signal_harness::Kcat;

use super::{ear::Ear, stage::Stage};

const MERCHANT: &str = "mer-large";
const LARGE: &str = "evt_large";
const LAST: &str = "evt_last";
/// Of each record that waits: more than is fetched ahead, all together.
const PADDING: usize = 2048;
const PORTION: usize = 5000;

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub recipients: usize,
    pub backlog: usize,
    /// From the worker's start to the last row and the last push of the large event.
    pub took: Duration,
    /// Once it is connected to everything and has done nothing.
    pub idle_kib: u64,
    /// The most that it had at any time.
    pub peak_kib: u64,
}

/// Produces the event and the backlog, starts a worker, and waits until there is nothing left.
///
/// # Errors
/// If a row or a push is missing, or there are more than there should be.
pub async fn measure(stage: &Stage<'_>) -> anyhow::Result<Measured> {
    let (recipients, backlog, within) = (stage.scale.crowd, stage.scale.backlog, stage.scale.within);
    enrol(stage, MERCHANT, recipients).await?;
    let ear = Ear::open(&stage.pubsub.url()).await?;
    // One that has nothing to do: its part of the topic is empty, as it reads on from the end.
    let idle = stage.worker().env("SIGNAL_KAFKA_GROUP", "idle").env("SIGNAL_KAFKA_OFFSET_RESET", "latest").spawn();
    idle.wait_ready(within).await;
    let idle_kib = idle.rss_kib();
    idle.kill();

    produce(stage, LARGE, MERCHANT).await?;
    produce_backlog(stage, backlog).await?;
    let began = Instant::now();
    let worker = stage.worker().spawn();
    let expected = recipients as u64 + backlog as u64 + 1;
    let large = || async {
        let (rows, pushes) = (stage.rows.count_of(&[LARGE]).await?, ear.distinct());
        ensure!(rows == recipients && pushes >= recipients as u64, "{rows} rows and {pushes} pushes of {recipients}");
        Ok(())
    };
    worker.wait_until(within, || async { large().await.map_err(|error| error.to_string()) }).await;
    let took = began.elapsed();
    worker
        .wait_until(within, || async {
            let last = stage.rows.count_of(&[LAST]).await.map_err(|error| error.to_string())?;
            let pushes = ear.distinct();
            if last == 1 && pushes >= expected { Ok(()) } else { Err(format!("{pushes} of {expected} pushes")) }
        })
        .await;
    let peak_kib = worker.peak_rss_kib();
    let rows = stage.rows.count().await?;
    ensure!(rows == expected, "{rows} rows instead of {expected}");
    ensure!(ear.pushes() == expected, "{} pushes instead of {expected}", ear.pushes());
    Ok(Measured { recipients, backlog, took, idle_kib, peak_kib })
}

/// Makes so many people members of a merchant.
///
/// # Errors
/// If the database does not take them.
pub async fn enrol(stage: &Stage<'_>, merchant: &str, people: usize) -> anyhow::Result<()> {
    let domain = format!("Merchant_{merchant}");
    let members: Vec<_> = (0..people).map(|number| (domain.clone(), format!("member-{number}"))).collect();
    for portion in members.chunks(PORTION) {
        stage.rows.enrol(portion).await?;
    }
    Ok(())
}

/// Produces one event to the people of a merchant.
///
/// # Errors
/// If the broker does not take it.
pub async fn produce(stage: &Stage<'_>, event: &str, merchant: &str) -> anyhow::Result<()> {
    produce_all(stage, &[record(event, "merchantId", &json!(merchant), "")]).await
}

/// Behind what is there, with one more event at the end.
async fn produce_backlog(stage: &Stage<'_>, backlog: usize) -> anyhow::Result<()> {
    let padding = "x".repeat(PADDING);
    let small =
        |number| record(&format!("evt_{number}"), "userIds", &json!([format!("user-{}", number % 1000)]), &padding);
    let mut records: Vec<_> = (0..backlog).map(small).collect();
    records.push(record(LAST, "userIds", &json!(["user-0"]), ""));
    produce_all(stage, &records).await
}

/// To one partition, as all have one key.
fn record(id: &str, scope: &str, of: &Value, note: &str) -> (String, String) {
    let data = json!({ "amount": "5", "currency": "VND" });
    let value = json!({ "id": id, "type": "PAYMENT_SUCCESS", "data": data, scope: of, "note": note });
    ("key".to_owned(), value.to_string())
}

async fn produce_all(stage: &Stage<'_>, records: &[(String, String)]) -> anyhow::Result<()> {
    for portion in records.chunks(PORTION) {
        let produced = Kcat::try_produce_keyed(&stage.kafka.brokers(), &stage.topic, portion).await;
        ensure!(produced.is_ok(), "{produced:?}");
    }
    Ok(())
}

impl Measured {
    /// Whether memory kept within a bound, in MiB.
    ///
    /// # Errors
    /// If it did not.
    pub fn check(&self, bound_mib: u64) -> anyhow::Result<()> {
        let peak = self.peak_kib / 1024;
        ensure!(peak <= bound_mib, "{peak} MiB are more than {bound_mib}: {self:?}");
        Ok(())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipients, backlog, took, .. } = self;
        let mib = |kib: u64| kib as f64 / 1024.0;
        write!(
            f,
            "{recipients} recipients in {:.1} s with {backlog} records behind; {:.1} MiB idle, {:.1} MiB at most",
            took.as_secs_f64(),
            mib(self.idle_kib),
            mib(self.peak_kib)
        )
    }
}
