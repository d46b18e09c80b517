//! What came of a replay, for people and for machines.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde_json::{Value, json};

use super::{ReplayError, checkpoint::Stretch};
use crate::{pipeline::Summary, rejection::Rejected};

/// So many of the records that failed are named.
const NAMED: usize = 10;

/// Why it ended.
#[derive(Debug)]
pub enum Ending {
    Finished,
    /// By a checkpoint: all was done before.
    FinishedBefore,
    /// It was told to stop.
    Stopped,
    Failed(ReplayError),
}

#[derive(Debug)]
pub struct Report {
    pub(super) topic: String,
    pub(super) stretches: Vec<Stretch>,
    pub(super) notes: Vec<String>,
    /// Offsets that an earlier run had done, where there was one.
    pub(super) done_before: Option<u64>,
    pub(super) dry_run: bool,
    pub(super) push: bool,
    pub read: u64,
    pub matched: u64,
    pub inserted: u64,
    pub existing: u64,
    pub deleted: u64,
    pub(super) failures: Failures,
    pub pushed: u64,
    pub missed: u64,
    /// Whether everybody who missed a push was told to read the list again.
    pub told: bool,
    pub(super) took: Duration,
    pub ending: Ending,
    /// The command that does what is left.
    pub(super) resume: Option<String>,
}

/// Records that were set aside, by reason, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_reason: BTreeMap<&'static str, u64>,
    first: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    position: String,
    reason: &'static str,
    detail: String,
}

impl Failures {
    fn add(&mut self, rejected: &[Rejected]) {
        for Rejected { record, rejection } in rejected {
            let reason = rejection.label();
            *self.by_reason.entry(reason).or_default() += 1;
            if self.first.len() < NAMED {
                let (position, detail) = (record.position.to_string(), rejection.to_string());
                self.first.push(Failure { position, reason, detail });
            }
        }
    }

    fn total(&self) -> u64 {
        self.by_reason.values().sum()
    }
}

impl Report {
    pub(super) fn add(&mut self, read: u64, summary: &Summary) {
        self.read += read;
        self.matched += summary.matched;
        self.inserted += summary.inserted;
        self.existing += summary.existing;
        self.deleted += summary.deleted;
        self.pushed += summary.sent;
        self.missed += summary.missed;
        self.failures.add(&summary.rejected);
    }

    pub fn failed(&self) -> u64 {
        self.failures.total()
    }

    /// Whether somebody has to look after something.
    pub fn has_loose_ends(&self) -> bool {
        self.failed() > 0 || !self.told
    }

    /// Offsets of the range behind which nothing came: compacted away, of a transaction, or deleted meanwhile.
    fn holes(&self) -> u64 {
        let done: u64 = self.stretches.iter().map(Stretch::done).sum();
        done.saturating_sub(self.done_before.unwrap_or(0)).saturating_sub(self.read)
    }

    fn per_second(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.read as f64 / seconds } else { 0.0 }
    }

    /// One object; counts are of this run.
    pub fn json(&self) -> Value {
        let first = self.failures.first.iter();
        let first = first.map(|one| json!({ "position": one.position, "reason": one.reason, "detail": one.detail }));
        let (ending, error) = match &self.ending {
            Ending::Finished => ("finished", None),
            Ending::FinishedBefore => ("finished_before", None),
            Ending::Stopped => ("stopped", None),
            Ending::Failed(error) => ("failed", Some(error.to_string())),
        };
        json!({
            "topic": self.topic, "partitions": self.stretches, "dryRun": self.dry_run, "ending": ending, "error": error,
            "doneBefore": self.done_before, "read": self.read, "holes": self.holes(), "matched": self.matched,
            "inserted": self.inserted, "alreadyThere": self.existing, "deleted": self.deleted,
            "failed": self.failed(), "failures": self.failures.by_reason, "firstFailures": first.collect::<Vec<_>>(),
            "pushed": self.pushed, "missed": self.missed, "told": self.told,
            "seconds": self.took.as_secs_f64(), "recordsPerSecond": self.per_second().round(),
            "notes": self.notes, "resume": self.resume,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, read, matched, inserted, existing, deleted, pushed, missed, .. } = self;
        writeln!(f, "{topic}")?;
        for Stretch { partition, from, to, .. } in &self.stretches {
            writeln!(f, "  partition {partition}, offsets {from} to before {to}")?;
        }
        if let Some(done) = self.done_before {
            writeln!(f, "  {done} offsets were done by an earlier run; what follows is of this one")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        let row = |f: &mut fmt::Formatter<'_>, name: &str, count: u64| writeln!(f, "{name:>15}  {count:>10}");
        row(f, "read", *read)?;
        if self.holes() > 0 {
            row(f, "without record", self.holes())?;
        }
        row(f, "matched", *matched)?;
        row(f, if self.dry_run { "would insert" } else { "inserted" }, *inserted)?;
        row(f, "already there", *existing)?;
        row(f, "deleted before", *deleted)?;
        row(f, "failed", self.failed())?;
        for (reason, count) in &self.failures.by_reason {
            writeln!(f, "{:>29}  {reason}", count)?;
        }
        for Failure { position, detail, .. } in &self.failures.first {
            writeln!(f, "{:>17}{position}: {detail}", "")?;
        }
        if self.dry_run && self.push {
            row(f, "would push", *inserted)?;
        } else if self.push {
            row(f, "pushed", *pushed)?;
            row(f, "missed", *missed)?;
        }
        writeln!(f, "took {:.1} s, {:.0} records/s", self.took.as_secs_f64(), self.per_second())?;
        if !self.told {
            writeln!(f, "those who missed a push could not be told to read the list again: the backplane is away")?;
        }
        match &self.ending {
            Ending::Finished => writeln!(f, "done")?,
            Ending::FinishedBefore => writeln!(f, "all of it was done before; delete the checkpoint to do it again")?,
            Ending::Stopped => writeln!(f, "stopped before the end")?,
            Ending::Failed(error) => writeln!(f, "failed before the end: {error}")?,
        }
        match &self.resume {
            Some(command) => writeln!(f, "to go on: {command}"),
            None => Ok(()),
        }
    }
}
