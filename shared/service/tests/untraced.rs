//! A process without a collector. Alone in its process: what a span costs is decided once for all of its threads.

#![allow(clippy::unwrap_used)]

use signal_service::{
    settings::{LogFormat, LogSettings, Source, TraceSettings, parse},
    telemetry::{self, Identity, traces},
};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    traces: TraceSettings,
}

#[test]
fn a_span_of_each_message_is_not_even_made() {
    let settings: Cli = parse(["test"], &Source::default()).unwrap();
    let logs = LogSettings { log: "info".to_owned(), log_format: LogFormat::Json };
    let _traces = telemetry::init(Identity { name: "test", version: "0" }, &logs, &settings.traces).unwrap();
    assert!(!tracing::info_span!("request").is_disabled(), "logs show it");
    let span = tracing::debug_span!("message");
    assert!(span.is_disabled());
    traces::set_parent(&span, Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_eq!(span.in_scope(traces::current_traceparent), None);
}
