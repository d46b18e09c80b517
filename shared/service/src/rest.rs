//! The REST surface that both binaries share: one error shape, request ids, metrics.
//!
//! ```json
//! {"message": "Not Found", "statusCode": 404, "requestId": "5b0c…", "details": {}}
//! ```
//!
//! A handler returns [`RestError`]; [`finish`], around a whole router, gives it the
//! request's id and lets unknown paths and methods fail in the same shape.

mod cause;
mod cors;
mod error;
mod extract;
mod request_id;

use std::time::Instant;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::StatusCode;
use tracing::{Instrument, Span, field::Empty};

pub use self::{
    error::{Cause, RestError},
    extract::{Bearer, Body, Path, Query},
    request_id::{REQUEST_ID, RequestId},
};
use crate::{settings::AllowedOrigins, telemetry::traces};

/// What a request's body may have at most, in bytes.
pub const BODY_LIMIT: usize = 1 << 20;

/// Completes a router of REST routes.
pub fn finish(router: Router) -> Router {
    around_routes(router.fallback(not_found))
}

/// The same for routes that pages of other origins may use.
pub fn finish_for(router: Router, origins: &AllowedOrigins) -> Router {
    let router = router.fallback(not_found).method_not_allowed_fallback(method_not_allowed);
    around_routes(router.layer(cors::layer(origins.clone())))
}

/// Completes a router whose unknown paths are another, finished router's to answer.
pub fn finish_before(router: Router, behind: Router) -> Router {
    around_routes(router).fallback_service(behind)
}

/// The same for routes that pages of other origins may use.
pub fn finish_for_before(router: Router, origins: &AllowedOrigins, behind: Router) -> Router {
    let router = router.method_not_allowed_fallback(method_not_allowed);
    finish_before(router.layer(cors::layer(origins.clone())), behind)
}

fn around_routes(router: Router) -> Router {
    let router = router.method_not_allowed_fallback(method_not_allowed);
    router.layer(DefaultBodyLimit::max(BODY_LIMIT)).layer(middleware::from_fn(around))
}

async fn not_found() -> RestError {
    RestError::not_found()
}

async fn method_not_allowed() -> RestError {
    RestError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

async fn around(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = method_label(request.method());
    // The pattern, not the path: paths have as many values as there are rows.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id.clone());
    let span = span(method, &route, &id);
    let traceparent = request.headers().get(traces::TRACEPARENT).and_then(|value| value.to_str().ok());
    traces::set_parent(&span, traceparent);

    let response = next.run(request).instrument(span.clone()).await;

    let mut response = error::with_request_id(response, &id);
    response.headers_mut().insert(REQUEST_ID, id.header());
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let status = response.status().as_u16().to_string();
    metrics::histogram!("signal_http_request_duration_seconds", "method" => method, "route" => route, "status" => status)
        .record(started.elapsed());
    response
}

/// The server's span of a request. A path may name people and a query may hold anything: the route is all it says.
fn span(method: &'static str, route: &str, id: &RequestId) -> Span {
    tracing::info_span!(
        "request",
        "otel.name" = format_args!("{method} {route}"),
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = Empty,
        request_id = id.as_str(),
    )
}

/// A client may invent methods; a metric must not have a series for each.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests;
