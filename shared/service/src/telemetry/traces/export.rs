//! Sending spans: a bounded queue, batches, and a collector that may be away.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use opentelemetry::Context;
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{common::tonic::ResourceAttributesWithSchema, trace::tonic::group_spans_by_resource_and_scope},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};
use prost::Message;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::SetupError;
use crate::Secret;

/// Spans that may wait; each is about a kilobyte. What comes on top is dropped and counted.
pub(super) const QUEUE: usize = 8192;
const BATCH: usize = 512;
/// How long a span waits for others to travel with.
const GATHERING: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Waits before a batch is sent again that the collector could not take just now; after the last it is dropped.
const RETRIES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

const EXPORTED: &str = "signal_trace_spans_exported_total";
const DROPPED: &str = "signal_trace_spans_dropped_total";

/// Where spans end up when they end.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Sender<SpanData>);

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled()
            && let Err(TrySendError::Full(_)) = self.0.try_send(span)
        {
            metrics::counter!(DROPPED, "reason" => "queue_full").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The other end of the queue.
#[derive(Debug)]
pub(super) struct Exporter {
    spans: mpsc::Receiver<SpanData>,
    resource: ResourceAttributesWithSchema,
    http: reqwest::Client,
    url: String,
    headers: HeaderMap,
    failing: bool,
}

#[derive(Debug)]
pub(super) struct Running {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

pub(super) fn queue(
    endpoint: &str,
    mut headers: HeaderMap,
    resource: &Resource,
) -> Result<(Queue, Exporter), SetupError> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    // Proxies would be read from the environment.
    let http = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT);
    let http = http.redirect(reqwest::redirect::Policy::none()).build()?;
    let (sender, spans) = mpsc::channel(QUEUE);
    let url = format!("{endpoint}/v1/traces");
    Ok((Queue(sender), Exporter { spans, resource: resource.into(), http, url, headers, failing: false }))
}

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Unreachable(String),
    #[error("the collector answers {0}")]
    Refused(StatusCode),
}

impl ExportError {
    /// What OTLP's specification calls retryable.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }
}

impl Exporter {
    pub(super) fn start(self) -> Running {
        metrics::describe_counter!(EXPORTED, "Spans that the collector has taken.");
        metrics::describe_counter!(DROPPED, "Spans that were dropped, by reason: queue_full, export_failed.");
        let stop = CancellationToken::new();
        Running { task: tokio::spawn(self.run(stop.clone())), stop }
    }

    async fn run(mut self, stop: CancellationToken) {
        while let Some(batch) = self.gather(&stop).await {
            self.send(batch, &stop).await;
        }
        // What was ended before the stop, and no more than the queue holds.
        self.spans.close();
        let mut batch = Vec::new();
        while self.spans.recv_many(&mut batch, BATCH).await > 0 {
            self.send(std::mem::take(&mut batch), &stop).await;
        }
    }

    /// The next batch; at a stop, whatever is gathered until then, if anything is.
    async fn gather(&mut self, stop: &CancellationToken) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            first = self.spans.recv() => batch.push(first?),
            () = stop.cancelled() => return None,
        }
        let until = Instant::now() + GATHERING;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                // At a stop, what is there already leaves together.
                biased;
                received = self.spans.recv_many(&mut batch, room) => if received == 0 { break },
                () = sleep_until(until) => break,
                () = stop.cancelled() => break,
            }
        }
        Some(batch)
    }

    async fn send(&mut self, batch: Vec<SpanData>, stop: &CancellationToken) {
        let spans = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut retries = RETRIES.iter();
        let outcome = loop {
            let error = match self.post(body.clone()).await {
                Ok(()) => break Ok(()),
                Err(error) => error,
            };
            let Some(wait) = retries.next().filter(|_| error.may_pass() && !stop.is_cancelled()) else {
                break Err(error);
            };
            tokio::select! {
                () = sleep(*wait) => {}
                () = stop.cancelled() => {}
            }
        };
        self.note(spans, outcome);
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), ExportError> {
        let request = self.http.post(&self.url).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|error| ExportError::Unreachable(innermost(&error)))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(ExportError::Refused(status)),
        }
    }

    /// Each outage is logged once, and its end.
    fn note(&mut self, spans: u64, outcome: Result<(), ExportError>) {
        let endpoint = || Secret::new(self.url.as_str()).without_credentials();
        match outcome {
            Ok(()) => {
                metrics::counter!(EXPORTED).increment(spans);
                if std::mem::replace(&mut self.failing, false) {
                    tracing::info!("traces are taken again");
                }
            }
            Err(error) => {
                metrics::counter!(DROPPED, "reason" => "export_failed").increment(spans);
                if !self.failing {
                    tracing::warn!(%error, endpoint = endpoint(), "traces are not taken; they are dropped until they are");
                }
                self.failing = true;
            }
        }
    }
}

impl Running {
    pub(super) async fn finish(mut self, bound: Duration) {
        self.stop.cancel();
        if timeout(bound, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the last traces could not be sent in time");
        }
    }
}

/// reqwest's own words name the URL, which may hold credentials; the cause beneath says what is the matter.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
