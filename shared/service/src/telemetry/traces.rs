//! Traces: spans of our own crates, sent by OTLP over HTTP, and their context on the wire.
//!
//! Without a collector there is no layer and nothing is made. A span that is made for each message should be a
//! `debug_span!`: then it costs a branch where there is neither a collector nor a reader of debug logs. Spans carry
//! names, counts and ids of our own making; never payloads, tokens or query strings. Log lines are not copied into
//! spans.

mod export;

use std::{collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    KeyValue,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider, SpanLimits},
};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, Registry, filter::filter_fn};
use uuid::Uuid;

use self::export::Exporter;
use super::Identity;
use crate::settings::{TraceSettings, values};

/// The header and the field that carries a span's context (W3C Trace Context, 3.2).
pub const TRACEPARENT: &str = "traceparent";

pub(super) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Their values are secrets: only which of them it is.
    #[error("OTEL_EXPORTER_OTLP_HEADERS: item {0} is no `name=value` that a header can be")]
    Headers(usize),
    #[error("OTEL_RESOURCE_ATTRIBUTES: item {0} is no `name=value`")]
    Attributes(usize),
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: no HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Spans that wait for somebody to send them; with no collector, nothing.
#[derive(Debug)]
#[must_use = "nothing is sent before `export`"]
pub struct Traces(Option<(Exporter, SdkTracerProvider)>);

/// Spans being sent, on the runtime.
#[derive(Debug)]
#[must_use = "what waits at the end is sent by `finish`"]
pub struct Exporting(Option<(export::Running, SdkTracerProvider)>);

impl Traces {
    /// Begins to send. To be called on a Tokio runtime.
    pub fn export(self) -> Exporting {
        Exporting(self.0.map(|(exporter, provider)| (exporter.start(), provider)))
    }
}

impl Exporting {
    /// Sends what is left, for at most `bound`; later spans are lost.
    pub async fn finish(self, bound: Duration) {
        if let Some((running, _provider)) = self.0 {
            running.finish(bound).await;
        }
    }
}

pub(super) fn setup(identity: Identity, settings: &TraceSettings) -> Result<(Option<BoxedLayer>, Traces), SetupError> {
    let resource = resource(identity, settings)?;
    let headers = headers(settings)?;
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok((None, Traces(None)));
    };
    let (queue, exporter) = export::queue(endpoint, headers, &resource)?;
    let share = Sampler::TraceIdRatioBased(settings.otel_traces_ratio);
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_span_limits(SpanLimits::default())
        .with_resource(resource)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("signal"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_traced));
    Ok((Some(layer.boxed()), Traces(Some((exporter, provider)))))
}

/// Spans of our own: libraries have others, and theirs may carry what must not leave.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::DEBUG && metadata.target().starts_with("signal")
}

fn resource(identity: Identity, settings: &TraceSettings) -> Result<Resource, SetupError> {
    let name = settings.otel_service_name.as_deref().unwrap_or(identity.name);
    let ours = [
        ("service.name".to_owned(), name.to_owned()),
        ("service.version".to_owned(), identity.version.to_owned()),
        ("service.instance.id".to_owned(), Uuid::new_v4().to_string()),
        ("telemetry.sdk.name".to_owned(), "opentelemetry".to_owned()),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
    ];
    let given = settings.otel_resource_attributes.as_deref().unwrap_or_default();
    let given = values::pairs(given).map_err(SetupError::Attributes)?;
    let mut attributes: HashMap<String, String> = ours.into();
    // OTEL_SERVICE_NAME goes before a service.name among the attributes, says the specification.
    for (name, value) in
        given.into_iter().filter(|(name, _)| name != "service.name" || settings.otel_service_name.is_none())
    {
        let value = percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned();
        attributes.insert(name, value);
    }
    let attributes = attributes.into_iter().map(|(name, value)| KeyValue::new(name, value));
    Ok(Resource::builder_empty().with_attributes(attributes).build())
}

fn headers(settings: &TraceSettings) -> Result<HeaderMap, SetupError> {
    let text = settings.otlp_headers.as_ref().map_or("", |headers| headers.expose());
    let pairs = values::pairs(text).map_err(SetupError::Headers)?;
    let mut headers = HeaderMap::new();
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        let value = percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned();
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => return Err(SetupError::Headers(at + 1)),
        }
    }
    Ok(headers)
}

/// Makes a span, before it is first entered, the child of one elsewhere. What is no `traceparent` changes nothing.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    use opentelemetry::propagation::TextMapPropagator;
    let Some(traceparent) = traceparent else { return };
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let parent = TraceContextPropagator::new().extract_with_context(&opentelemetry::Context::new(), &carrier);
    if parent.span().span_context().is_valid() {
        // Without a collector there is no layer that could take it.
        let _ = span.set_parent(parent);
    }
}

/// The `traceparent` to send along with what is done in this span; `None` where nothing is traced.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let written = || format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    span.is_valid().then(written)
}

/// [`traceparent`] of the span that the caller is in.
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

#[cfg(test)]
mod tests;
