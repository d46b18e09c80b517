//! Logs, traces and metrics of one process.
//!
//! Logs go to standard error, one JSON object a line with `timestamp`, `level`,
//! `target`, `message` and the event's own fields beside them, and within a trace
//! `trace_id` and `span_id`; or in a form for people. Traces go to a collector, if one is
//! named ([`traces`]). Metrics are recorded through the `metrics` facade and read as
//! Prometheus text.

mod lines;
mod log_line;
mod process;
pub mod traces;

use std::{io::IsTerminal, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use self::lines::Lines;
pub use self::{
    lines::{Aside, beside, step_aside},
    traces::{Exporting, Traces},
};
use crate::settings::{LogFormat, LogSettings, TraceSettings};

/// What a process that is otherwise done waits at most for its last spans to be taken.
pub const TRACE_FLUSH: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("SIGNAL_LOG: `{filter}` is not a filter: {reason}")]
    Filter { filter: String, reason: String },
    #[error(transparent)]
    Traces(#[from] traces::SetupError),
}

/// What a process calls itself in its traces, unless it is told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub name: &'static str,
    pub version: &'static str,
}

/// Starts logging, and tracing if there is a collector. Needs no runtime yet; [`Traces::export`] does. A second call in
/// one process, as in tests, changes nothing.
///
/// # Errors
/// If a setting cannot be used.
pub fn init(identity: Identity, logs: &LogSettings, traces: &TraceSettings) -> Result<Traces, TelemetryError> {
    let (layer, traces) = traces::setup(identity, traces)?;
    let ansi = std::io::stderr().is_terminal();
    // An error means that logging has been started already.
    let _ = subscriber(logs, layer, || Lines, ansi)?.try_init();
    Ok(traces)
}

/// Starts logging alone, for a command that does one thing and ends.
///
/// # Errors
/// If the filter cannot be read.
pub fn init_logs(settings: &LogSettings) -> Result<(), TelemetryError> {
    let ansi = std::io::stderr().is_terminal();
    let _ = subscriber(settings, None, || Lines, ansi)?.try_init();
    Ok(())
}

/// Filters apply to each layer by itself: what is logged does not change what is traced.
fn subscriber<W>(
    settings: &LogSettings,
    traces: Option<traces::BoxedLayer>,
    writer: W,
    ansi: bool,
) -> Result<impl Subscriber + Send + Sync + 'static, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let refused = |reason: String| TelemetryError::Filter { filter: settings.log.clone(), reason };
    if let Some(word) = misspelt(&settings.log) {
        return Err(refused(format!(
            "{word} is no level: off, error, warn, info, debug or trace; of a part: name=level"
        )));
    }
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| refused(error.to_string()))?;
    let lines = fmt::layer().with_writer(writer).with_ansi(ansi);
    let lines: traces::BoxedLayer = match settings.log_format {
        LogFormat::Json => {
            let json = fmt::format().json().flatten_event(true).with_span_list(false);
            lines.fmt_fields(JsonFields::new()).event_format(log_line::Traced(json)).with_filter(filter).boxed()
        }
        LogFormat::Pretty => lines.with_target(false).with_filter(filter).boxed(),
    };
    // The spans first: a line tells which of them it was written in.
    Ok(Registry::default().with(traces.into_iter().chain([lines]).collect::<Vec<_>>()))
}

/// A directive that is a word alone and no level. `EnvFilter` takes it for the name of a part, of which all is logged and of
/// everything else nothing: a typo would silence the process.
fn misspelt(filter: &str) -> Option<&str> {
    let words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut alone = words.filter(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    alone.find(|word| word.parse::<LevelFilter>().is_err())
}

/// Latencies from a tenth of a millisecond (a fan-out) to ten seconds (a stuck one).
const SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Ages from a hundredth of a second (as good as at once) to an hour (an outage that is worked off).
const AGES: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
const BYTES: &[f64] = &[64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];
/// Sizes of batches and audiences.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 10_000.0, 100_000.0];

/// Reads what was recorded. Clones read the same.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Starts recording and gives the reader; every call in a process gives the same one.
pub fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(install).clone()
}

fn install() -> Metrics {
    process::mark_start();
    let recorder = builder().expect("the bucket lists are not empty").build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed: /metrics stays empty");
    }
    Metrics(handle)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets(COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_age_seconds".to_owned()), AGES)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)
}

impl Metrics {
    /// Prometheus text, with the process's own figures as of now.
    pub fn render(&self) -> String {
        process::record();
        self.0.run_upkeep();
        self.0.render()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_twice_is_safe_and_reads_the_same() {
        let settings = |log: &str| LogSettings { log: log.to_owned(), log_format: LogFormat::Json };
        init_logs(&settings("info")).unwrap();
        init_logs(&settings("debug")).unwrap();
        assert!(init_logs(&settings("a=b=c")).unwrap_err().to_string().contains("SIGNAL_LOG"));
        let misspelt = init_logs(&settings("signal_edge=debug, inof")).unwrap_err().to_string();
        assert!(misspelt.contains("inof is no level"), "{misspelt}");
        init_logs(&settings("off,signal_edge=INFO,signal_bus[span{field=1}]=trace")).unwrap();

        let (first, second) = (metrics(), metrics());
        metrics::counter!("test_total").increment(3);
        assert!(first.render().contains("test_total 3"));
        assert!(second.render().contains("test_total 3"));
    }

    #[test]
    fn histograms_have_buckets_that_fit_their_unit() {
        let reader = metrics();
        metrics::histogram!("test_wait_seconds").record(0.003);
        metrics::histogram!("test_age_seconds").record(200.0);
        metrics::histogram!("test_frame_bytes").record(500.0);
        metrics::histogram!("test_batch_records").record(30.0);
        let text = reader.render();
        for line in [
            "test_wait_seconds_bucket{le=\"0.0025\"} 0",
            "test_wait_seconds_bucket{le=\"0.005\"} 1",
            "test_age_seconds_bucket{le=\"300\"} 1",
            "test_frame_bytes_bucket{le=\"1024\"} 1",
            "test_batch_records_bucket{le=\"50\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_process_reports_on_itself() {
        let text = metrics().render();
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
            line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{text}"))
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_uptime_seconds") >= 0.0);
    }
}
