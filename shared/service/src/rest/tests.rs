use axum::{Extension, body::Body, routing::get};
use http::Request as HttpRequest;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

fn app() -> Router {
    let invalid = || async {
        RestError::validation(&[Cause {
            path: "data.amount".into(),
            message: "must be a decimal".into(),
            code: "invalid",
        }])
    };
    finish(
        Router::new()
            .route("/fine", get(|Extension(id): Extension<RequestId>| async move { id.as_str().to_owned() }))
            .route("/invalid", get(invalid))
            .route("/secret/{id}", get(|| async { RestError::unauthorized() })),
    )
}

async fn call(method: &str, path: &str, id: Option<&str>) -> (Response<()>, String) {
    let mut request = HttpRequest::builder().method(method).uri(path);
    if let Some(id) = id {
        request = request.header(REQUEST_ID, id);
    }
    let response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (Response::from_parts(parts, ()), text)
}

use http::Response;

#[tokio::test]
async fn a_sane_request_id_is_taken_and_returned() {
    let (response, body) = call("GET", "/fine", Some("abc-123")).await;
    assert_eq!(response.headers()[REQUEST_ID], "abc-123");
    assert_eq!(body, "abc-123");
}

#[tokio::test]
async fn any_other_is_replaced() {
    let long = "x".repeat(129);
    for given in [None, Some(""), Some("two words"), Some("tab\there"), Some(long.as_str())] {
        let (response, body) = call("GET", "/fine", given).await;
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{given:?} became {id}");
        assert_eq!(body, id);
    }
    let longest = "x".repeat(128);
    assert_eq!(call("GET", "/fine", Some(&longest)).await.1, longest);
}

#[tokio::test]
async fn errors_have_one_shape() {
    for (method, path, status, message, details) in [
        ("GET", "/nowhere", 404, "Not Found", json!({})),
        ("POST", "/fine", 405, "Method Not Allowed", json!({})),
        ("GET", "/secret/7", 401, "Unauthorized", json!({})),
        (
            "GET",
            "/invalid",
            422,
            "ValidationError",
            json!({ "cause": [{ "path": "data.amount", "message": "must be a decimal", "code": "invalid" }] }),
        ),
    ] {
        let (response, body) = call(method, path, Some("r-1")).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body, json!({ "message": message, "statusCode": status, "requestId": "r-1", "details": details }));
    }
    let (response, _) = call("GET", "/secret/7", None).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn two_routers_share_one_address() {
    let front = Router::new().route("/front", get(|| async { "front" }));
    let both = finish_before(front, app());
    for (method, path, status, text) in [
        ("GET", "/front", 200, "front"),
        ("PUT", "/front", 405, "Method Not Allowed"),
        ("GET", "/fine", 200, "r-2"),
        ("GET", "/nowhere", 404, "Not Found"),
    ] {
        let request = HttpRequest::builder().method(method).uri(path).header(REQUEST_ID, "r-2");
        let response = both.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()[REQUEST_ID]), (status, &"r-2".parse().unwrap()));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(text), "{method} {path}: {body:?}");
    }
}

#[tokio::test]
async fn requests_are_measured_by_route_not_by_path() {
    let metrics = crate::telemetry::metrics();
    call("GET", "/secret/12345", None).await;
    call("BREW", "/secret/12345", None).await;
    let text = metrics.render();
    let line = "signal_http_request_duration_seconds_count{method=\"GET\",route=\"/secret/{id}\",status=\"401\"}";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("12345") && !text.contains("BREW"), "{text}");
}
