//! `signal-worker replay`: a stretch of the topic goes through the pipeline once more, beside the group.
//!
//! Nothing here moves the group's offsets or takes part in it. Rows that are there stay as they are, so a replay may be
//! repeated and may run beside the live worker; whoever of the two comes second finds the other's rows. A batch that was
//! cut off is done again. At its end it says what came of it, also when it was stopped.

mod bounds;
mod checkpoint;
mod pace;
mod point;
mod progress;
mod report;
mod settings;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use signal_service::health::Health;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

pub use self::{
    bounds::BoundsError,
    checkpoint::CheckpointError,
    point::{Point, PointError},
    progress::Display,
    report::{Ending, Report},
    settings::ReplaySettings,
};
use self::{
    checkpoint::{Checkpoint, Stretch, Subject},
    pace::Pace,
    progress::{Progress, Standing},
};
use crate::{
    consume::range::{RangeError, Records, Slice, Topic},
    pipeline::Pipeline,
    record::Record,
    store::StoreError,
};

/// How long those who missed a push are tried to be told at the end.
const LAST_WORD: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Bounds(#[from] BoundsError),
    #[error(transparent)]
    Range(#[from] RangeError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a replay works with.
#[derive(Debug)]
pub struct Parts {
    pub topic: Topic,
    /// Its selection is the settings', its occasion history; without a publisher nobody is told.
    pub pipeline: Pipeline,
    /// Where the pipeline's parts report; what is away is shown with the progress.
    pub health: Health,
    pub display: Display,
    /// Ends the replay behind the batch that is out.
    pub stop: CancellationToken,
}

/// Replays what the settings say. What happens before the first record is an error, everything later the report's
/// [`Ending`].
///
/// # Errors
/// If the range can't be found, or the checkpoint is not of this replay or can't be written.
pub async fn replay(parts: &Parts, settings: &ReplaySettings) -> Result<Report, ReplayError> {
    let started = Instant::now();
    let plan = tokio::select! {
        biased;
        () = parts.stop.cancelled() => {
            // Later, what is so long ago now will be something else.
            let now = OffsetDateTime::now_utc();
            let resume = Some(settings.command(&settings.from.fixed(now), &settings.to.fixed(now)));
            let report = Run::new(parts, settings, Plan::default()).report;
            return Ok(Report { resume, ending: Ending::Stopped, ..report });
        }
        plan = Plan::make(&parts.topic, settings) => plan?,
    };
    let mut run = Run::new(parts, settings, plan);
    let ending = match run.work().await {
        Ok(ending) => ending,
        Err(ReplayError::Store(StoreError::Stopped)) => Ending::Stopped,
        Err(error) => Ending::Failed(error),
    };
    let mut report = run.report;
    if let Some(publisher) = &parts.pipeline.publisher {
        report.told = tokio::time::timeout(LAST_WORD, publisher.make_good()).await.is_ok();
    }
    report.took = started.elapsed();
    report.resume = matches!(ending, Ending::Stopped | Ending::Failed(_)).then(|| resume(settings, &run.stretches));
    (report.stretches, report.ending) = (run.stretches, ending);
    Ok(report)
}

/// What is to be read, as it was fixed when the replay first began.
#[derive(Default)]
struct Plan {
    stretches: Vec<Stretch>,
    notes: Vec<String>,
    checkpoint: Option<Checkpoint>,
    resumed: bool,
}

impl Plan {
    async fn make(topic: &Topic, settings: &ReplaySettings) -> Result<Self, ReplayError> {
        let subject = Subject {
            topic: topic.name().to_string(),
            from: settings.from.to_string(),
            to: settings.to.to_string(),
            selection: settings.selection(),
            push: settings.push,
        };
        let checkpoint = settings.checkpoint.as_deref().map(|path| Checkpoint::new(path, subject));
        let kept = checkpoint.as_ref().map(Checkpoint::load).transpose()?.flatten();
        if let Some(stretches) = kept {
            return Ok(Self { stretches, notes: Vec::new(), checkpoint, resumed: true });
        }
        let now = OffsetDateTime::now_utc();
        let bounds::Bounds { slices, notes } = bounds::resolve(topic, &settings.from, &settings.to, now).await?;
        let stretches: Vec<Stretch> = slices.into_iter().map(Stretch::from).collect();
        // Before anything is done, so that whoever goes on after a crash means the same range.
        if let Some(checkpoint) = &checkpoint {
            checkpoint.save(&stretches).await?;
        }
        Ok(Self { stretches, notes, checkpoint, resumed: false })
    }
}

struct Run<'a> {
    parts: &'a Parts,
    stretches: Vec<Stretch>,
    checkpoint: Option<Checkpoint>,
    pace: Option<Pace>,
    standing: Arc<Mutex<Standing>>,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(parts: &'a Parts, settings: &ReplaySettings, plan: Plan) -> Self {
        let Plan { stretches, notes, checkpoint, resumed } = plan;
        let total = stretches.iter().map(|stretch| stretch.rest().len()).sum();
        let done_before: u64 = stretches.iter().map(Stretch::done).sum();
        let report = Report {
            topic: parts.topic.name().to_string(),
            stretches: Vec::new(),
            notes,
            done_before: resumed.then_some(done_before),
            dry_run: settings.dry_run,
            push: settings.push,
            read: 0,
            matched: 0,
            inserted: 0,
            existing: 0,
            deleted: 0,
            failures: report::Failures::default(),
            pushed: 0,
            missed: 0,
            told: true,
            took: Duration::ZERO,
            ending: Ending::Finished,
            resume: None,
        };
        let standing = Arc::new(Mutex::new(Standing { total, ..Standing::default() }));
        let pace = settings.rate.map(|rate| Pace::new(rate, Instant::now()));
        Self { parts, stretches, checkpoint, pace, standing, report }
    }

    async fn work(&mut self) -> Result<Ending, ReplayError> {
        let rest: Vec<Slice> = self.stretches.iter().map(Stretch::rest).collect();
        if self.report.done_before.is_some() && rest.iter().all(Slice::is_empty) {
            return Ok(Ending::FinishedBefore);
        }
        for note in &self.report.notes {
            tracing::warn!(note, "less is there than was asked for");
        }
        let Report { done_before, dry_run, push, .. } = self.report;
        tracing::info!(total = self.standing.lock().total, done_before, dry_run, push, "replay begins");
        let mut records = self.parts.topic.read(&rest)?;
        let _progress = Progress::start(self.parts.display, &self.standing, &self.parts.health);
        while let Some(mut batch) = self.next(&mut records).await? {
            while !batch.is_empty() {
                if self.parts.stop.is_cancelled() {
                    return Ok(Ending::Stopped);
                }
                let size = self.pace.as_ref().map_or(batch.len(), |pace| pace.piece().min(batch.len()));
                let rest = batch.split_off(size);
                self.take(std::mem::replace(&mut batch, rest)).await?;
            }
        }
        if self.parts.stop.is_cancelled() && self.stretches.iter().any(|stretch| !stretch.rest().is_empty()) {
            return Ok(Ending::Stopped);
        }
        // Offsets at an end that hold no record are done, too.
        for stretch in &mut self.stretches {
            stretch.next = stretch.to;
        }
        self.save().await?;
        Ok(Ending::Finished)
    }

    /// `None` at the end, or when it is to stop.
    async fn next(&mut self, records: &mut Records) -> Result<Option<Vec<Record>>, ReplayError> {
        self.standing.lock().reading_since = Some(Instant::now());
        let next = tokio::select! {
            () = self.parts.stop.cancelled() => return Ok(None),
            next = records.next() => next?,
        };
        self.standing.lock().reading_since = None;
        Ok(next)
    }

    async fn take(&mut self, records: Vec<Record>) -> Result<(), ReplayError> {
        let read = records.len() as u64;
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for record in &records {
            next.insert(record.position.partition, record.position.offset + 1);
        }
        let summary = self.parts.pipeline.process(records).await?;
        self.report.add(read, &summary);
        for stretch in &mut self.stretches {
            stretch.next = next.get(&stretch.partition).copied().unwrap_or(stretch.next);
        }
        self.save().await?;
        if let Some(publisher) = &self.parts.pipeline.publisher {
            publisher.make_good_if_possible().await;
        }
        if let Some(pace) = &mut self.pace {
            let wait = pace.wait(summary.matched, Instant::now());
            // A stop is noticed before the next piece.
            let _ = tokio::time::timeout(wait, self.parts.stop.cancelled()).await;
        }
        Ok(())
    }

    /// Shows how far it has come, and keeps it.
    async fn save(&mut self) -> Result<(), ReplayError> {
        self.show();
        match &self.checkpoint {
            Some(checkpoint) => Ok(checkpoint.save(&self.stretches).await?),
            None => Ok(()),
        }
    }

    fn show(&self) {
        let left: u64 = self.stretches.iter().map(|stretch| stretch.rest().len()).sum();
        let mut standing = self.standing.lock();
        standing.done = standing.total.saturating_sub(left);
        (standing.matched, standing.inserted) = (self.report.matched, self.report.inserted);
    }
}

/// The command that does what is left: by offsets, unless a checkpoint has them.
fn resume(settings: &ReplaySettings, stretches: &[Stretch]) -> String {
    if settings.checkpoint.is_some() {
        return settings.command(&settings.from, &settings.to);
    }
    let left = stretches.iter().filter(|stretch| !stretch.rest().is_empty());
    let (from, to) = left.map(|left| ((left.partition, left.next), (left.partition, left.to))).unzip();
    settings.command(&Point::Positions(from), &Point::Positions(to))
}
