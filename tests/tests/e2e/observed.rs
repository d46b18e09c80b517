//! A real Prometheus looks at a running edge and worker: whatever alerts and panels ask for is there.

use reqwest::Method;
use serde_json::{Value, json};
use signal_harness::{Kafka, Kcat, Postgres, Prometheus, Record, Redis, eventually, free_port, require};
use signal_tests::operator::Operator;

use crate::{
    alerts::{dashboards, expressions, panels, rule_files},
    platform::{Backplane, Platform, SOON, payment, policies},
    promql::{self, Selector},
    window::Raw,
};

/// Labels that Prometheus or Kubernetes gives.
const GIVEN: [&str; 4] = ["namespace", "job", "pod", "instance"];
/// What only a container has: a machine's own cgroup counts no memory.
const CONTAINER: &str = "signal_container_memory";
const CONNECTIONS: u64 = 500;

/// A platform without a collector of the traces that it makes.
async fn platform() -> Platform {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let backplane = Backplane::with(|edge| {
        edge.env("SIGNAL_DATABASE_URL", policies())
            .env("SIGNAL_MAX_CONNECTIONS", CONNECTIONS.to_string())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &nowhere)
    });
    let platform = Platform::on(backplane.await, |worker| worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", &nowhere)).await;
    platform.merchant("mer-1", &["an", "binh"]).await;
    platform
}

/// Something of each kind: a person and a stranger, pushes, a record that is none, a request to the other edges.
async fn happen(platform: &Platform, moment: usize) {
    let Backplane { issuer, edge, .. } = &platform.backplane;
    let window = platform.window("an").await;
    window.send("heartbeat", Value::Null).await;
    let mut stranger = Raw::connect(edge.http_addr()).await;
    stranger.send_json(&json!({ "event": "authenticate", "data": { "token": "a.b.c", "publicKey": "" } })).await;
    platform.produce(&payment(&format!("evt_{moment}"), &json!({ "merchantId": "mer-1" }))).await;
    platform.produce_record(&Record::new("not JSON")).await;
    platform.fence(&format!("fence_{moment}"), &[&window]).await;
    let operator = Operator::new(edge.http_addr(), Some(Operator::token(issuer)));
    let listed = operator.ask(Method::GET, "", &Value::Null).await.unwrap();
    assert_eq!(listed.status, 200, "{}", listed.body);
}

#[tokio::test]
async fn each_panel_shows_something_and_each_rule_asks_for_what_is_there() {
    require!(Prometheus, Postgres, Redis, Kafka, Kcat);
    let platform = platform().await;
    let targets = [("edge", platform.backplane.edge.admin_addr()), ("worker", platform.worker.admin_addr())];
    let prometheus = Prometheus::launch(&targets, &rule_files()).await;
    happen(&platform, 0).await;
    eventually(SOON, || async {
        prometheus
            .query("signal_worker_record_age_seconds_count > 0")
            .await?
            .first()
            .cloned()
            .ok_or("no record was seen".to_owned())
    })
    .await;
    // A rate has two points.
    happen(&platform, 1).await;

    for (file, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            eventually(SOON, || shown(&prometheus, format!("{file}: {title}"), expressions(panel))).await;
        }
    }

    let rules = prometheus.rules().await.unwrap();
    assert!(rules.len() > 40, "{}", rules.len());
    for rule in rules {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        assert_ne!(rule["health"], "err", "{name}: {}", rule["lastError"]);
        for selector in promql::selectors(query) {
            eventually(SOON, || there(&prometheus, name.to_owned(), selector.clone())).await;
        }
    }

    let firing = prometheus.query(r#"ALERTS{alertstate="firing"}"#).await.unwrap();
    // The record that is none is a dead letter, of which an operator wants to know at once.
    let names: Vec<_> = firing.iter().map(|alert| alert["metric"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(names, ["SignalDeadLetters"], "{firing:?}");

    let edge = platform.backplane.edge.metrics().await;
    assert_eq!(edge.sum("signal_edge_max_connections", &[]), CONNECTIONS as f64);
    let worker = platform.worker.metrics().await;
    let good = worker.sum("signal_worker_records_total", &[]) - worker.sum("signal_worker_records_rejected_total", &[]);
    assert_eq!(worker.sum("signal_worker_record_age_seconds_count", &[]), good, "every good record has its age");
    assert!(worker.sum("signal_worker_record_age_seconds_sum", &[]) < SOON.as_secs_f64() * good);
}

async fn shown(prometheus: &Prometheus, panel: String, expressions: Vec<String>) -> Result<(), String> {
    for expression in &expressions {
        let series = prometheus.query(expression).await.map_err(|error| format!("{panel}: {expression}: {error}"))?;
        let of_container = promql::metrics(expression).iter().all(|metric| metric.starts_with(CONTAINER));
        if !series.is_empty() || of_container {
            return Ok(());
        }
    }
    Err(format!("{panel} shows nothing: {expressions:?}"))
}

/// Whether there is a series of the metric with each of the labels.
async fn there(prometheus: &Prometheus, rule: String, selector: Selector) -> Result<(), String> {
    let Selector { metric, labels } = selector;
    let named = labels.iter().map(|(label, _)| label.as_str()).filter(|label| !GIVEN.contains(label));
    let wanted: Vec<_> = named.map(|label| format!(r#"{label}!="""#)).collect();
    let query = format!("{metric}{{{}}}", wanted.join(","));
    let series = prometheus.query(&query).await.map_err(|error| format!("{rule}: {error}"))?;
    if series.is_empty() && !metric.starts_with(CONTAINER) {
        Err(format!("{rule}: nothing has {query}"))
    } else {
        Ok(())
    }
}
