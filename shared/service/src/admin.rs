//! What operators and probes read, on an address of its own: `/metrics`, `/health/live`,
//! `/health/ready`, `/health/serving`.

use std::time::Duration;

use axum::{Router, routing::get};
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    health::Health,
    serve::{self, Limits},
    telemetry::Metrics,
};

pub fn router(health: &Health, metrics: Metrics) -> Router {
    let text = move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) };
    health.router().route("/metrics", get(text))
}

/// Few come here, and nothing is asked that takes time: whoever keeps a connection without asking anything is no reason
/// for a probe to wait.
const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout: Duration::from_secs(5),
    header_bytes: 16 * 1024,
    lifetime: Duration::from_secs(60),
    grace: Duration::from_secs(5),
};

/// Serves until `stop` is cancelled, and what was asked by then. It is best the last thing to stop: a drain should
/// be visible while it lasts.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    serve::serve_until(listener, router, LIMITS, stop, &connections).await;
    connections.close();
    connections.wait().await;
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
        time::timeout,
    };
    use tower::ServiceExt;

    use super::*;
    use crate::telemetry;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_follows_the_components_and_live_does_not() {
        let health = Health::new();
        let (redis, kafka) = (health.component("redis"), health.component("kafka"));
        let router = router(&health, telemetry::metrics());

        redis.up();
        let (status, body) = get(&router, "/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["status"], "not_ready");
        assert_eq!(body["components"]["redis"]["up"], true);
        assert_eq!(body["components"]["kafka"]["reason"], "starting");
        assert_eq!(get(&router, "/health/live").await.0, StatusCode::OK);

        kafka.up();
        let (status, body) = get(&router, "/health/ready").await;
        assert_eq!((status, body.contains("\"ready\"")), (StatusCode::OK, true));

        kafka.down("connection refused");
        let (status, body) = get(&router, "/health/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("connection refused"), "{body}");
        assert_eq!(get(&router, "/health/live").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn serving_goes_by_what_requests_need() {
        let health = Health::new();
        let (database, kafka) = (health.component("database"), health.background("kafka"));
        let router = router(&health, telemetry::metrics());
        kafka.up();
        assert_eq!(get(&router, "/health/serving").await.0, StatusCode::SERVICE_UNAVAILABLE);
        database.up();
        kafka.down("connection refused");
        let (status, body) = get(&router, "/health/serving").await;
        assert_eq!((status, body.contains("\"serving\"")), (StatusCode::OK, true));
        assert!(body.contains("connection refused"), "{body}");
        assert_eq!(get(&router, "/health/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        database.down("no answer");
        assert_eq!(get(&router, "/health/serving").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn who_asks_nothing_keeps_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router(&Health::new(), telemetry::metrics()), stop.clone()));
        let mut silent = Vec::new();
        for _ in 0..LIMITS.connections {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // All places are taken: it is answered once one of them has been silent for too long.
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        // Far sooner than connections end by their age.
        timeout(LIMITS.lifetime / 2, probe.read_exact(&mut answer)).await.expect("all places are kept").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let router = router(&Health::new(), telemetry::metrics());
        let (status, body) = get(&router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("process_uptime_seconds"), "{body}");
    }
}
