use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::StatusCode;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue as Attribute, any_value::Value},
    trace::v1::Span as Received,
};
use prost::Message;
use tokio::{net::TcpListener, sync::mpsc};
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::{
    rest,
    settings::{LogFormat, LogSettings, Source},
    telemetry,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const BOUND: Duration = Duration::from_secs(20);

/// A collector that answers with the statuses it is given, then with 200.
struct Collector {
    endpoint: String,
    requests: mpsc::UnboundedReceiver<(HeaderMap, ExportTraceServiceRequest)>,
}

type Inbox = (Arc<Mutex<Vec<StatusCode>>>, mpsc::UnboundedSender<(HeaderMap, ExportTraceServiceRequest)>);

impl Collector {
    async fn start(mut answers: Vec<StatusCode>) -> Self {
        async fn take(State((answers, inbox)): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
            inbox.send((headers, ExportTraceServiceRequest::decode(body).unwrap())).unwrap();
            answers.lock().unwrap().pop().unwrap_or(StatusCode::OK)
        }
        answers.reverse();
        let (sender, requests) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v1/traces", post(take)).with_state((Arc::new(Mutex::new(answers)), sender));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, requests }
    }

    async fn next(&mut self) -> (HeaderMap, ExportTraceServiceRequest) {
        tokio::time::timeout(BOUND, self.requests.recv()).await.expect("a batch in time").unwrap()
    }

    /// Everything that has arrived.
    fn spans(&mut self) -> Vec<Received> {
        let mut spans = Vec::new();
        while let Ok((_, request)) = self.requests.try_recv() {
            spans.extend(spans_of(&request));
        }
        spans
    }
}

fn spans_of(request: &ExportTraceServiceRequest) -> Vec<Received> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn attribute(attributes: &[Attribute], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{name} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    traces: TraceSettings,
}

fn settings(variables: &[(&str, &str)]) -> TraceSettings {
    let source: Source = variables.iter().copied().collect();
    crate::settings::parse::<Cli>(["test"], &source).unwrap().traces
}

const IDENTITY: Identity = Identity { name: "signal-test", version: "1.2.3" };

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn json(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Logs and traces of this thread alone, until the guard is dropped.
fn telemetry(variables: &[(&str, &str)], log: &str) -> (DefaultGuard, Exporting, Lines) {
    let (layer, traces) = setup(IDENTITY, &settings(variables)).unwrap();
    let lines = Lines::default();
    let writer = lines.clone();
    let logs = LogSettings { log: log.to_owned(), log_format: LogFormat::Json };
    let subscriber = telemetry::subscriber(&logs, layer, move || writer.clone(), false).unwrap();
    (tracing::subscriber::set_default(subscriber), traces.export(), lines)
}

fn metric(name: &str) -> f64 {
    let text = telemetry::metrics().render();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn spans_reach_the_collector_as_children_of_whoever_asked() {
    let mut collector = Collector::start(Vec::new()).await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test%2C1,service.instance.id=edge-7"),
    ];
    let (_guard, exporting, _) = telemetry(&variables, "off");
    let passed_on = {
        let span = tracing::debug_span!("outer", count = 3);
        set_parent(&span, Some(PARENT));
        let _entered = span.enter();
        tracing::info!(token = "hunter2", "no event becomes part of a span");
        tracing::debug_span!("inner").in_scope(|| current_traceparent().unwrap())
    };
    exporting.finish(BOUND).await;

    let (headers, request) = collector.next().await;
    assert_eq!(
        (&headers["x-tenant"], &headers["content-type"]),
        (&"a b".parse().unwrap(), &"application/x-protobuf".parse().unwrap())
    );
    let resource = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
    for (name, value) in [
        ("service.name", "signal-test"),
        ("service.version", "1.2.3"),
        ("service.instance.id", "edge-7"),
        ("deployment.environment.name", "test,1"),
    ] {
        assert_eq!(attribute(resource, name).as_deref(), Some(value));
    }
    let [inner, outer] = &spans_of(&request)[..] else { panic!("two spans in {request:?}") };
    assert_eq!((outer.name.as_str(), inner.name.as_str()), ("outer", "inner"));
    assert_eq!(hex(&outer.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&outer.parent_span_id), "b7ad6b7169203331");
    assert_eq!((&inner.trace_id, &inner.parent_span_id), (&outer.trace_id, &outer.span_id));
    assert_eq!(attribute(&outer.attributes, "count").as_deref(), Some("3"));
    assert_eq!(passed_on, format!("00-{}-{}-01", hex(&inner.trace_id), hex(&inner.span_id)));
    assert!(!format!("{request:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_request_is_a_span_and_its_log_lines_name_it() {
    let mut collector = Collector::start(Vec::new()).await;
    let (_guard, exporting, lines) = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)], "info");
    let handler = || async {
        tracing::info!(rows = 2, "found");
        StatusCode::BAD_GATEWAY
    };
    let app = rest::finish(Router::new().route("/things/{id}", post(handler)));
    let request = http::Request::post("/things/hunter2?token=hunter2")
        .header(TRACEPARENT, PARENT)
        .header("authorization", "Bearer hunter2")
        .header(rest::REQUEST_ID, "r-1");
    let response = app.oneshot(request.body(axum::body::Body::from("hunter2")).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    exporting.finish(BOUND).await;

    let spans = collector.spans();
    let [span] = &spans[..] else { panic!("one span in {spans:?}") };
    assert_eq!((span.name.as_str(), span.kind), ("POST /things/{id}", 2), "kind 2 is a server's");
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/things/{id}"),
        ("http.response.status_code", "502"),
        ("request_id", "r-1"),
    ] {
        assert_eq!(attribute(&span.attributes, name).as_deref(), Some(value), "{span:?}");
    }
    assert_eq!(span.status.as_ref().map(|status| status.code), Some(2), "an error: {span:?}");
    assert!(!format!("{span:?}").contains("hunter2"));

    let lines = lines.json();
    let line = lines.iter().find(|line| line["message"] == "found").unwrap();
    assert_eq!((&line["trace_id"], &line["rows"]), (&hex(&span.trace_id).into(), &2.into()));
    assert_eq!(line["span_id"], hex(&span.span_id));
    assert!(!format!("{lines:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_trace_is_as_its_beginning_decided() {
    let mut collector = Collector::start(Vec::new()).await;
    for (share, parent, arrives) in [
        ("1", None, true),
        ("1", Some(UNSAMPLED), false),
        ("0", None, false),
        ("0", Some(PARENT), true),
        ("1", Some("nonsense"), true),
    ] {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("OTEL_TRACES_SAMPLER_ARG", share)];
        let (_guard, exporting, _) = telemetry(&variables, "off");
        let span = tracing::info_span!("one");
        set_parent(&span, parent);
        let passed_on = traceparent(&span).unwrap();
        assert_eq!(passed_on.ends_with("-01"), arrives, "{share} {parent:?}: {passed_on}");
        drop(span);
        exporting.finish(BOUND).await;
        assert_eq!(collector.spans().len(), usize::from(arrives), "{share} {parent:?}");
    }
}

#[tokio::test]
async fn without_a_collector_nothing_is_made() {
    let (layer, traces) = setup(IDENTITY, &settings(&[])).unwrap();
    assert!(layer.is_none());
    let (_guard, exporting, lines) = telemetry(&[], "info");
    let span = tracing::info_span!("request");
    set_parent(&span, Some(PARENT));
    assert_eq!(traceparent(&span), None);
    span.in_scope(|| {
        assert_eq!(current_traceparent(), None);
        tracing::info!("said");
    });
    assert!(lines.json()[0].get("trace_id").is_none());
    exporting.finish(BOUND).await;
    traces.export().finish(BOUND).await;
}

#[tokio::test]
async fn an_outage_is_logged_once_and_a_moment_of_it_is_waited_for() {
    use http::StatusCode as S;
    let answers = vec![S::SERVICE_UNAVAILABLE, S::OK, S::BAD_REQUEST, S::BAD_REQUEST, S::OK];
    let mut collector = Collector::start(answers).await;
    let (_guard, exporting, lines) = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint)], "info");
    let dropped = || metric(r#"signal_trace_spans_dropped_total{reason="export_failed"}"#);
    let before = dropped();
    let mut sent = Vec::new();
    for requests in [2, 1, 1, 1] {
        drop(tracing::info_span!("one"));
        for _ in 0..requests {
            sent.extend(spans_of(&collector.next().await.1).into_iter().map(|span| span.span_id));
        }
    }
    exporting.finish(BOUND).await;
    assert_eq!(sent[0], sent[1], "503 may pass: the same batch is sent again");
    assert_eq!(sent.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "400 will not: it is dropped");
    assert!(dropped() - before >= 2.0);
    let lines = lines.json();
    let said: Vec<_> = lines.iter().map(|line| (&line["level"], &line["message"])).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!((said[0].0, said[1].0), (&"WARN".into(), &"INFO".into()), "{said:?}");
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let (layer, traces) = setup(IDENTITY, &settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)])).unwrap();
    let logs = LogSettings { log: "off".to_owned(), log_format: LogFormat::Json };
    let _guard = tracing::subscriber::set_default(telemetry::subscriber(&logs, layer, io::sink, false).unwrap());
    let dropped = || metric(r#"signal_trace_spans_dropped_total{reason="queue_full"}"#);
    let before = dropped();
    for _ in 0..export::QUEUE + 5 {
        drop(tracing::info_span!("one"));
    }
    assert_eq!(dropped() - before, 5.0);
    // Nobody is there to take them: the end is bounded all the same.
    let bound = Duration::from_millis(300);
    let began = std::time::Instant::now();
    traces.export().finish(bound).await;
    assert!(began.elapsed() < BOUND);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_no_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (_guard, exporting, lines) = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)], "info");
    drop(tracing::info_span!("one"));
    let began = std::time::Instant::now();
    exporting.finish(Duration::from_millis(200)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(lines.json()[0]["message"], "the last traces could not be sent in time");
}

#[test]
fn settings_that_cannot_be_used_are_named_and_not_shown() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0A"),
        ("OTEL_RESOURCE_ATTRIBUTES", "hunter2"),
    ] {
        let error = setup(IDENTITY, &settings(&[(name, value)])).err().unwrap().to_string();
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
    let source: Source = [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")].into_iter().collect();
    let error = crate::settings::parse::<Cli>(["test"], &source).err().unwrap().to_string();
    assert!(error.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{error}");
}
