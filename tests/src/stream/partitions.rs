//! The ways between a worker and what it needs, bad one after the other while a stream runs: half-open, dead while new
//! connections pass, slow and lossy.

use std::time::{Duration, Instant};

use signal_harness::{Chaos, Link, Service, eventually};

use super::{faults::Done, run::Run};
use crate::faults::slow_network::POOR;

const POOR_TURNS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Kafka,
    Postgres,
    Backplane,
}

/// # Errors
/// If the database's address is not one.
pub async fn play(run: &mut Run<'_>) -> anyhow::Result<Done> {
    let mut random = run.random.clone();
    let host = |url: &str| url.split_once('@').map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_owned());
    let url = run.stage.database.url();
    let database = host(url).unwrap_or_default();
    let ways = [
        (To::Kafka, run.stage.kafka.behind_chaos()),
        (To::Postgres, Chaos::before(database.parse()?)),
        (To::Backplane, Chaos::before(([127, 0, 0, 1], run.stage.pubsub.port()).into())),
    ];
    let (variable, backplane) = run.stage.pubsub.setting_by(ways[2].1.addr());
    let worker = run
        .stage
        .worker()
        .env("SIGNAL_KAFKA_BROKERS", ways[0].1.addr().to_string())
        .env("SIGNAL_DATABASE_URL", url.replace(&database, &ways[1].1.addr().to_string()))
        .env(variable, backplane)
        .spawn();
    let mut order: Vec<(usize, bool)> = (0..ways.len()).flat_map(|way| [(way, true), (way, false)]).collect();
    order = random.some(&order, order.len());
    let records = run.plan.records.len();
    let mut what = Vec::new();
    for (moment, (way, half_open)) in random.moments(records / 10, records * 8 / 10, order.len()).iter().zip(order) {
        let (to, chaos) = &ways[way];
        run.produced(*moment).await;
        goes_on(run, &worker).await;
        let took = if half_open { silence(run, &worker, *to, chaos).await } else { strand(run, &worker, chaos).await };
        let how = if half_open { "half-open, going on after it" } else { "dead, going on" };
        what.push(format!("{to:?} {how} after {:.1} s", took.as_secs_f64()));
    }
    // A batch takes many turns there and back: for as long as it takes to see that it goes on, not for the whole stream.
    ways.iter().for_each(|(_, chaos)| chaos.set(POOR));
    let began = Instant::now();
    for _ in 0..POOR_TURNS {
        goes_on(run, &worker).await;
    }
    ways.iter().for_each(|(_, chaos)| chaos.clear());
    what.push(format!(
        "{POOR_TURNS} batches in {:.1} s while all three are 200 ms away and pieces are held up",
        began.elapsed().as_secs_f64()
    ));
    // Held until the stream has ended.
    Ok(Done { what: what.join("; "), worker, ways: ways.into_iter().map(|(_, chaos)| chaos).collect() })
}

/// Both ways silent for all connections, until it has lasted; from then on, how long until something is pushed.
async fn silence(run: &Run<'_>, worker: &Service, to: To, chaos: &Chaos) -> Duration {
    let began = Instant::now();
    let rows = run.stage.rows.count().await.unwrap_or_default();
    chaos.set(Link::SILENT);
    worker
        .wait_until(run.stage.scale.within, || async {
            let lasted = began.elapsed() >= run.stage.scale.outage;
            // Rows do not wait for the backplane.
            let now = run.stage.rows.count().await.map_err(|error| error.to_string())?;
            let more = now > rows || now == run.plan.expected.len() as u64;
            if lasted && (more || to != To::Backplane) {
                Ok(())
            } else {
                Err(format!("silent for {:?}", began.elapsed()))
            }
        })
        .await;
    chaos.clear();
    goes_on(run, worker).await
}

/// The connections that are open are dead for good, and nobody says so.
async fn strand(run: &Run<'_>, worker: &Service, chaos: &Chaos) -> Duration {
    let accepted = chaos.accepted();
    chaos.strand();
    let began = Instant::now();
    eventually(run.stage.scale.within, || async { chaos.accepted() > accepted }).await;
    goes_on(run, worker).await;
    began.elapsed()
}

/// How long until rows are written and nothing is out of reach. All may have been written by then.
async fn goes_on(run: &Run<'_>, worker: &Service) -> Duration {
    let (began, before) = (Instant::now(), run.stage.rows.count().await.unwrap_or_default());
    worker
        .wait_until(run.stage.scale.within, || async {
            let rows = run.stage.rows.count().await.map_err(|error| error.to_string())?;
            let ready = worker.health("ready").await.map_err(|error| error.to_string())?;
            let goes_on = rows > before || rows == run.plan.expected.len() as u64;
            if goes_on && ready.status == 200 { Ok(()) } else { Err(format!("{rows} rows, {}", ready.body)) }
        })
        .await;
    began.elapsed()
}
