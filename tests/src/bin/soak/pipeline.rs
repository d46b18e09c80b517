//! Streams of events while workers, Kafka, Postgres and Redis die, or are out of reach.

use signal_harness::{Kafka, Postgres};
use signal_tests::{
    faults::{Findings, malformed},
    rollout,
    stream::{crowd, faults, partitions, run::Run, stage::Stage},
};

use crate::Sizes;

/// What a worker may take, whatever waits.
const MEMORY_MIB: u64 = 150;

/// What befalls a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kills,
    Outages,
    Group,
    Partitions,
}

/// With servers of its own, so that one scenario leaves nothing to the next.
async fn servers() -> (Postgres, Kafka) {
    tokio::join!(Postgres::launch(), Kafka::launch())
}

pub(crate) async fn stream(fault: Fault, sizes: Sizes) -> anyhow::Result<Findings> {
    let (postgres, kafka) = servers().await;
    let mut scale = sizes.scale;
    if fault == Fault::Partitions {
        // Six of them one after the other take longer than three outages.
        scale.pace = scale.pace * 3 / 5;
    }
    let stage = Stage::set(&postgres, &kafka, scale).await?;
    let mut run = Run::begin(&stage, sizes.seed).await?;
    let done = match fault {
        Fault::Kills => faults::kills(&mut run).await?,
        Fault::Outages => faults::outages(&mut run).await?,
        Fault::Group => faults::comings_and_goings(&mut run).await?,
        Fault::Partitions => partitions::play(&mut run).await?,
    };
    Ok(vec!["0 rows lost, 0 doubled".to_owned(), done.what.clone(), run.finish().await?.to_string()])
}

pub(crate) async fn crowd(sizes: Sizes) -> anyhow::Result<Findings> {
    let (postgres, kafka) = servers().await;
    let stage = Stage::set(&postgres, &kafka, sizes.scale).await?;
    let measured = crowd::measure(&stage).await?;
    measured.check(MEMORY_MIB)?;
    Ok(vec![measured.to_string()])
}

pub(crate) async fn rollout(sizes: Sizes) -> anyhow::Result<Findings> {
    let (postgres, kafka) = servers().await;
    Ok(vec![rollout::play::play(&postgres, &kafka, sizes.rollout, sizes.seed).await?.to_string()])
}

pub(crate) async fn malformed(sizes: Sizes) -> anyhow::Result<Findings> {
    let (postgres, kafka) = servers().await;
    malformed::play(sizes.size, &postgres, &kafka).await
}
