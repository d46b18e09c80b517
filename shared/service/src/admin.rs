//! What operators and probes read, on an address of its own: `/metrics`, `/health/live`,
//! `/health/ready`, `/health/serving`.

use axum::{Router, routing::get};
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{health::Health, telemetry::Metrics};

pub fn router(health: &Health, metrics: Metrics) -> Router {
    let text = move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) };
    health.router().route("/metrics", get(text))
}

/// Serves until `stop` is cancelled. It is best the last thing to stop: a drain should
/// be visible while it lasts.
///
/// # Errors
/// If accepting connections fails for good.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
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
    async fn metrics_are_served_as_text() {
        let router = router(&Health::new(), telemetry::metrics());
        let (status, body) = get(&router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("process_uptime_seconds"), "{body}");
    }
}
