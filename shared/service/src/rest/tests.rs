use std::time::Duration;

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

#[tokio::test]
async fn waits_are_told_in_whole_seconds_rounded_up() {
    let busy = || async { RestError::too_many_requests(Duration::from_millis(1200)) };
    let away = || async { RestError::unavailable("The database is away").retry_after(Duration::from_secs(5)) };
    let app = finish(Router::new().route("/busy", get(busy)).route("/away", get(away)));
    for (path, status, seconds) in [("/busy", 429, "2"), ("/away", 503, "5")] {
        let request = HttpRequest::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (status, &seconds.parse().unwrap())
        );
    }
}

/// An answer to a request of a page of `origin`, where two origins are allowed.
async fn cross_origin(method: &str, path: &str, origin: &str, allowed: &str) -> Response<Body> {
    let routes = Router::new().route("/fine", get(|| async { "fine" }));
    let request = HttpRequest::builder().method(method).uri(path).header("origin", origin);
    let request = request.header("access-control-request-method", "GET").body(Body::empty()).unwrap();
    finish_for(routes, &allowed.parse().unwrap()).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn pages_of_allowed_origins_read_answers_and_refusals() {
    let allowed = "https://app.example, https://*.shop.example";
    for (method, path, status) in
        [("GET", "/fine", 200), ("OPTIONS", "/fine", 200), ("GET", "/nowhere", 404), ("POST", "/fine", 405)]
    {
        let response = cross_origin(method, path, "https://a.shop.example", allowed).await;
        let headers = response.headers();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(headers["access-control-allow-origin"], "https://a.shop.example", "{method} {path}");
        assert!(headers["vary"].to_str().unwrap().contains("origin") && headers.contains_key(REQUEST_ID));
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(status != 405 || headers["allow"].to_str().unwrap().contains("GET"), "{headers:?}");

        let response = cross_origin(method, path, "https://evil.example", allowed).await;
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{method} {path}");
    }
    let preflight = cross_origin("OPTIONS", "/fine", "https://app.example", allowed).await;
    let allowed_headers = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(allowed_headers.contains("authorization") && allowed_headers.contains("content-type"), "{allowed_headers}");

    let anybody = cross_origin("GET", "/fine", "null", "*").await;
    assert_eq!(anybody.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn routes_in_front_of_others_have_their_pages_too_and_leave_the_rest_to_what_is_behind() {
    let origins = "https://app.example".parse().unwrap();
    let behind = finish_for(Router::new().route("/behind", get(|| async { "behind" })), &origins);
    let front = Router::new().route("/fine", get(|| async { "fine" }));
    let app = finish_for_before(front, &origins, behind);
    for (method, path, status) in [
        ("GET", "/fine", 200),
        ("OPTIONS", "/fine", 200),
        ("POST", "/fine", 405),
        ("GET", "/behind", 200),
        ("POST", "/behind", 405),
        ("GET", "/nowhere", 404),
    ] {
        for (origin, told) in [("https://app.example", 1), ("https://evil.example", 0)] {
            let request = HttpRequest::builder().method(method).uri(path).header("origin", origin);
            let request = request.header("access-control-request-method", "GET").body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let headers = response.headers();
            assert_eq!(response.status().as_u16(), status, "{method} {path}");
            assert_eq!(headers.get_all("access-control-allow-origin").iter().count(), told, "{method} {path}");
            assert_eq!(headers.get_all(REQUEST_ID).iter().count(), 1, "{method} {path}");
        }
    }
}
