//! How far it has come: a bar on a terminal, a line of the log every few seconds elsewhere.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use signal_service::{health::Health, telemetry};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How often the bar is drawn, and how often a line is written where there is none.
const DRAW: Duration = Duration::from_millis(200);
const WRITE: Duration = Duration::from_secs(5);
/// What the rate is taken over.
const WINDOW: Duration = Duration::from_secs(15);
/// Kafka may take so long before it is said that it is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
const STYLE: &str = "[{bar:30}] {wide_msg}";

/// How a replay stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Offsets that are to be read, and that are done.
    pub(super) total: u64,
    pub(super) done: u64,
    pub(super) matched: u64,
    pub(super) inserted: u64,
    /// Since when the next records are waited for.
    pub(super) reading_since: Option<Instant>,
}

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A bar on standard error.
    Bar,
    Log,
    Nothing,
}

/// Shows a standing until it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    _task: DropGuard,
    _bar: Option<Bar>,
}

impl Progress {
    pub(super) fn start(display: Display, standing: &Arc<Mutex<Standing>>, health: &Health) -> Self {
        let stop = CancellationToken::new();
        let bar = (display == Display::Bar).then(|| Bar::new(standing.lock().total));
        if display != Display::Nothing {
            let (bar, standing) = (bar.as_ref().map(|bar| bar.0.clone()), Arc::clone(standing));
            tokio::spawn(show(bar, standing, health.clone(), stop.clone()));
        }
        Self { _task: stop.drop_guard(), _bar: bar }
    }
}

/// A bar that the log steps around while it is there.
#[derive(Debug)]
struct Bar(ProgressBar);

impl Bar {
    fn new(total: u64) -> Self {
        let style = ProgressStyle::with_template(STYLE).expect("the template is a constant that indicatif reads");
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style);
        let aside = bar.clone();
        telemetry::step_aside(Some(Arc::new(move |write| aside.suspend(write))));
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
        telemetry::step_aside(None);
    }
}

async fn show(bar: Option<ProgressBar>, standing: Arc<Mutex<Standing>>, health: Health, stop: CancellationToken) {
    let mut speed = Speed::default();
    let period = if bar.is_some() { DRAW } else { WRITE };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (now, standing) = (Instant::now(), standing.lock().clone());
        speed.note(now, standing.done);
        let (per_second, left) = (speed.per_second(), speed.left(&standing));
        let waiting = waiting(&standing, &health, now);
        match &bar {
            Some(bar) => {
                bar.set_position(standing.done);
                bar.set_message(line(&standing, per_second, left, waiting.as_deref()));
            }
            None => tracing::info!(
                done = standing.done,
                total = standing.total,
                matched = standing.matched,
                inserted = standing.inserted,
                per_second = per_second.map(f64::round),
                left_seconds = left.map(|left| left.as_secs()),
                waiting,
                "replaying"
            ),
        }
    }
}

/// What it can't do without at the moment.
fn waiting(standing: &Standing, health: &Health, now: Instant) -> Option<String> {
    let database = health.status("database").filter(|status| !status.up).and_then(|status| status.reason);
    let silent = standing.reading_since.is_some_and(|since| now - since > PATIENCE);
    database.or_else(|| silent.then(|| "waiting for Kafka".to_owned()))
}

fn line(standing: &Standing, per_second: Option<f64>, left: Option<Duration>, waiting: Option<&str>) -> String {
    let Standing { total, done, matched, inserted, .. } = standing;
    let percent = (done * 100).checked_div(*total).unwrap_or(100);
    let mut line = format!("{percent} % of {total}");
    if let Some(per_second) = per_second {
        line += &format!(", {per_second:.0}/s");
    }
    if let Some(left) = left {
        line += &format!(", {} left", rounded(left));
    }
    line += &format!(", {matched} matched, {inserted} inserted");
    if let Some(waiting) = waiting {
        line += &format!("; {waiting}");
    }
    line
}

/// `2h05m`, `7m12s`, `9s`.
fn rounded(left: Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// What was done lately, at what rate.
#[derive(Debug, Default)]
struct Speed(VecDeque<(Instant, u64)>);

impl Speed {
    fn note(&mut self, now: Instant, done: u64) {
        self.0.push_back((now, done));
        // One sample before the window begins stays: rates are between two.
        while self.0.get(1).is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.0.pop_front();
        }
    }

    fn per_second(&self) -> Option<f64> {
        let ((from, before), (to, done)) = (self.0.front()?, self.0.back()?);
        let seconds = (*to - *from).as_secs_f64();
        (seconds > 0.0).then(|| (done - before) as f64 / seconds)
    }

    /// `None` while nothing moves.
    fn left(&self, standing: &Standing) -> Option<Duration> {
        let per_second = self.per_second().filter(|per_second| *per_second > 0.0)?;
        let left = standing.total.saturating_sub(standing.done);
        Duration::try_from_secs_f64(left as f64 / per_second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rate_is_that_of_late_and_tells_what_is_left() {
        let start = Instant::now();
        let mut speed = Speed::default();
        let standing = |done| Standing { total: 10_000, done, ..Standing::default() };
        speed.note(start, 0);
        assert_eq!((speed.per_second(), speed.left(&standing(0))), (None, None));
        speed.note(start + seconds(2), 200);
        assert_eq!((speed.per_second(), speed.left(&standing(200))), (Some(100.0), Some(seconds(98))));
        // A long stop: by then the rate is nought, and nobody knows how long it will take.
        for at in 3..40 {
            speed.note(start + seconds(at), 200);
        }
        assert_eq!((speed.per_second(), speed.left(&standing(200))), (Some(0.0), None));
        assert!(speed.0.len() <= 17, "{}", speed.0.len());
    }

    #[test]
    fn a_line_says_how_it_stands() {
        let standing = Standing { total: 2000, done: 500, matched: 70, inserted: 12, reading_since: None };
        assert_eq!(
            line(&standing, Some(123.4), Some(seconds(3725)), None),
            "25 % of 2000, 123/s, 1h02m left, 70 matched, 12 inserted"
        );
        assert_eq!(
            line(&standing, Some(0.0), None, Some("the database is away")),
            "25 % of 2000, 0/s, 70 matched, 12 inserted; the database is away"
        );
        assert_eq!(line(&Standing::default(), None, None, None), "100 % of 0, 0 matched, 0 inserted");
        assert_eq!([seconds(9), seconds(432)].map(rounded), ["9s", "7m12s"]);
    }

    #[test]
    fn what_is_waited_for_is_said() {
        let (health, now) = (Health::new(), Instant::now());
        let database = health.component("database");
        database.up();
        let mut standing = Standing { reading_since: Some(now), ..Standing::default() };
        assert_eq!(waiting(&standing, &health, now + seconds(2)), None);
        assert_eq!(waiting(&standing, &health, now + seconds(4)).as_deref(), Some("waiting for Kafka"));
        standing.reading_since = None;
        database.down("the database is away");
        assert_eq!(waiting(&standing, &health, now).as_deref(), Some("the database is away"));
    }
}
