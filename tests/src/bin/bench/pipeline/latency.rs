//! From the producer's hand to the client's screen, at a steady rate.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use serde_json::json;
use signal_client::{Session, session::Received};
use signal_harness::eventually;
use signal_tests::{figures::quantile, stream::stage::Stage};
use signal_wire::protocol::Protocol;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{START, worker};
use crate::{
    crowd::sessions,
    report::{Figure, Report, progress},
    scene::micros,
};

const EVENTS_PER_SECOND: u32 = 500;
/// A second to get going, and ten that count.
const UNCOUNTED: usize = EVENTS_PER_SECOND as usize;
const EVENTS: usize = 11 * EVENTS_PER_SECOND as usize;
const MERCHANTS: usize = 50;
/// Each with an open window.
const PEOPLE: usize = 3;

pub(super) async fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    progress(&format!("{EVENTS_PER_SECOND} events a second to {PEOPLE} windows each"));
    let users: Vec<String> = (0..MERCHANTS * PEOPLE).map(|number| format!("bench-{number}")).collect();
    let enrolment = |(number, user): (usize, &String)| (format!("Merchant_mer-{}", number % MERCHANTS), user.clone());
    stage.rows.enrol(&users.iter().enumerate().map(enrolment).collect::<Vec<_>>()).await?;
    let worker = worker(stage).spawn();
    worker.wait_ready(START).await;
    let tokens: Vec<String> = users.iter().map(|user| stage.issuer.token(user)).collect();
    let latencies = Arc::<Mutex<Vec<f64>>>::default();
    let mut listening = JoinSet::new();
    for session in sessions(stage.edge.http_addr(), &tokens, Protocol::V2).await? {
        listening.spawn(listen(session, Arc::clone(&latencies)));
    }
    let heard = || latencies.lock().unwrap_or_else(PoisonError::into_inner).len();

    // kcat reads its input in blocks, and so would keep some records to itself.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stage.kafka.brokers()).set("linger.ms", "0");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let mut ticks = interval(Duration::from_secs(1) / EVENTS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..EVENTS {
        ticks.tick().await;
        let merchant = format!("mer-{}", number % MERCHANTS);
        let value = record(number, &merchant);
        producer.send(BaseRecord::to(&stage.topic).key(&merchant).payload(&value)).map_err(|(error, _)| error)?;
    }
    producer.flush(START)?;
    eventually(START, || async {
        let (heard, expected) = (heard(), EVENTS * PEOPLE);
        if heard == expected { Ok(()) } else { Err(format!("{heard} of {expected} arrived")) }
    })
    .await;
    ensure!(listening.try_join_next().is_none(), "a client was disconnected");
    let mut counted = latencies.lock().unwrap_or_else(PoisonError::into_inner).split_off(UNCOUNTED * PEOPLE);
    let (half, most) = (quantile(&mut counted, 0.5), quantile(&mut counted, 0.99));
    let title = format!("record to window at {EVENTS_PER_SECOND} events a second, p50, ms");
    report.add(Figure::new("latency_p50_ms", &title).one(half).bounds(60.0, 15.0));
    report.add(Figure::new("latency_p99_ms", "  p99, ms").one(most).bounds(150.0, 50.0));
    Ok(())
}

fn record(number: usize, merchant: &str) -> String {
    let data = json!({ "amount": "125000", "currency": "VND", "orderCode": "A-1042", "merchantName": "Cà Phê 79" });
    let event = json!({
        "id": format!("evt_{number}"), "type": "PAYMENT_SUCCESS", "occurredAt": "2026-11-23T08:00:00.000Z",
        "merchantId": merchant, "data": data, "producedAt": micros(),
    });
    event.to_string()
}

async fn listen(mut session: Session, latencies: Arc<Mutex<Vec<f64>>>) -> anyhow::Result<()> {
    loop {
        let Received::Message(message) = session.receive().await? else { continue };
        let notification = message.notification().context("not a notification")??;
        let produced = notification.metadata.get("producedAt").and_then(|at| at.as_u64()).context("not ours")?;
        let took_ms = micros().saturating_sub(produced) as f64 / 1000.0;
        latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took_ms);
    }
}
