//! The producer: kcat, in portions, at a steady pace, and again until the broker has taken them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use signal_harness::Kcat;
use tokio::{
    task::JoinHandle,
    time::{interval, sleep},
};

use super::plan::Plan;

const PORTIONS_PER_SECOND: usize = 4;
const AGAIN_AFTER: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Producer {
    progress: Arc<Progress>,
    producing: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Progress {
    produced: AtomicUsize,
    refused: AtomicUsize,
}

impl Producer {
    /// Begins with the plan's records; those behind everything else come at the end.
    pub fn start(brokers: String, topic: String, plan: Arc<Plan>, records_per_second: usize) -> Self {
        let progress = Arc::<Progress>::default();
        let producing = tokio::spawn(produce(brokers, topic, plan, records_per_second, Arc::clone(&progress)));
        Self { progress, producing }
    }

    /// Records that the broker has taken.
    pub fn produced(&self) -> usize {
        self.progress.produced.load(Ordering::SeqCst)
    }

    /// Portions that it did not take, or not all of.
    pub fn refused(&self) -> usize {
        self.progress.refused.load(Ordering::SeqCst)
    }

    /// Waits until all is produced.
    ///
    /// # Errors
    /// If the last ones could not be.
    pub async fn done(&mut self) -> anyhow::Result<()> {
        Ok((&mut self.producing).await?)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.producing.abort();
    }
}

async fn produce(brokers: String, topic: String, plan: Arc<Plan>, per_second: usize, progress: Arc<Progress>) {
    let mut ticks = interval(Duration::from_secs(1) / PORTIONS_PER_SECOND as u32);
    for portion in plan.records.chunks((per_second / PORTIONS_PER_SECOND).max(1)) {
        ticks.tick().await;
        // What a broker has taken before it went away is produced again: the same events come twice.
        while Kcat::try_produce_keyed(&brokers, &topic, portion).await.is_err() {
            progress.refused.fetch_add(1, Ordering::SeqCst);
            sleep(AGAIN_AFTER).await;
        }
        progress.produced.fetch_add(portion.len(), Ordering::SeqCst);
    }
    for record in &plan.last {
        Kcat::produce(&brokers, &topic, record).await;
        progress.produced.fetch_add(1, Ordering::SeqCst);
    }
}
