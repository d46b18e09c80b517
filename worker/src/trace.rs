//! A record's place in a trace, from whoever produced it to the sockets that its pushes are written to.
//!
//! Each record has a span of its own, the child of the `traceparent` among its headers where there is one, and a child
//! of it for each step of the batch that it is in. Pushes carry the span's context, which edges go on with.

use signal_service::telemetry::traces;
use tracing::{Span, field::Empty};

use crate::record::Record;

/// One record's part.
#[derive(Debug)]
pub(crate) struct Trace {
    span: Span,
    /// What its pushes carry.
    pub(crate) traceparent: Option<String>,
}

impl Trace {
    pub(crate) fn begin(record: &Record) -> Self {
        // Nothing is made where there is neither a collector nor a reader of debug logs.
        let span = tracing::debug_span!(
            "process",
            "otel.kind" = "consumer",
            "otel.status_code" = Empty,
            "messaging.system" = "kafka",
            "messaging.destination.name" = &*record.position.topic,
            "messaging.destination.partition.id" = record.position.partition,
            "messaging.kafka.offset" = record.position.offset,
            rejected = Empty,
        );
        let given = record.header(traces::TRACEPARENT).and_then(|value| std::str::from_utf8(value).ok());
        traces::set_parent(&span, given);
        // A span for each push of a trace that nobody keeps would be work for nothing. Where this worker exports no
        // traces the producer's context is handed on as it came.
        let ours = traces::traceparent(&span);
        let handed_on = ours.or_else(|| given.filter(|text| is_traceparent(text)).map(str::to_owned));
        Self { span, traceparent: handed_on.filter(|text| is_sampled(text)) }
    }

    /// The record was set aside.
    pub(crate) fn rejected(&self, reason: &'static str) {
        self.span.record("otel.status_code", "ERROR").record("rejected", reason);
    }

    /// A step of its batch; to be dropped when that ends.
    fn step(&self, name: &'static str) -> Span {
        match self.span.is_disabled() {
            true => Span::none(),
            false => tracing::debug_span!(parent: &self.span, "step", "otel.name" = name),
        }
    }
}

/// A step as it stands in the trace of each record.
#[must_use = "the step ends with the value"]
pub(crate) fn step(traces: &[Trace], name: &'static str) -> Vec<Span> {
    traces.iter().map(|trace| trace.step(name)).filter(|span| !span.is_disabled()).collect()
}

/// Version 00 in its one form: `00-{32 hex}-{16 hex}-{2 hex}` (W3C Trace Context, 3.2).
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let mut parts = text.split('-');
    let mut next = |length| {
        parts.next().is_some_and(|part| hex(part, length) && (length == 2 || part.bytes().any(|byte| byte != b'0')))
    };
    text.starts_with("00-") && next(2) && next(32) && next(16) && next(2) && parts.next().is_none()
}

/// The lowest bit of the flags.
fn is_sampled(traceparent: &str) -> bool {
    traceparent.bytes().last().is_some_and(|digit| char::from(digit).to_digit(16).is_some_and(|flags| flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::record::Position;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn traceparent(header: Option<&str>) -> Option<String> {
        let header = header.map(|value| ("traceparent".to_owned(), Some(Bytes::copy_from_slice(value.as_bytes()))));
        let position = Position { topic: "t".into(), partition: 0, offset: 0 };
        let record =
            Record { position, key: None, value: None, headers: header.into_iter().collect(), timestamp: None };
        Trace::begin(&record).traceparent
    }

    #[test]
    fn without_a_collector_a_good_context_is_handed_on_and_any_other_is_not() {
        assert_eq!(traceparent(Some(GIVEN)).as_deref(), Some(GIVEN));
        assert_eq!(traceparent(None), None);
        let unsampled = GIVEN.replace("-01", "-00");
        let long = format!("{GIVEN}-00");
        for text in [
            "",
            "00",
            "00-0-0-01",
            unsampled.as_str(),
            long.as_str(),
            &GIVEN.to_uppercase(),
            &GIVEN.replace("00-", "ff-"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(traceparent(Some(text)), None, "{text}");
        }
    }
}
