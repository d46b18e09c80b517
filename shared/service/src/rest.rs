//! The REST surface that both binaries share: one error shape, request ids, metrics.
//!
//! ```json
//! {"message": "Not Found", "statusCode": 404, "requestId": "5b0c…", "details": {}}
//! ```
//!
//! A handler returns [`RestError`]; [`finish`], around a whole router, gives it the
//! request's id and lets unknown paths and methods fail in the same shape.

mod error;
mod request_id;

use std::time::Instant;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::StatusCode;

pub use self::{
    error::{Cause, RestError},
    request_id::{REQUEST_ID, RequestId},
};

/// Completes a router of REST routes.
pub fn finish(router: Router) -> Router {
    around_routes(router.fallback(not_found))
}

/// Completes a router whose unknown paths are another, finished router's to answer.
pub fn finish_before(router: Router, behind: Router) -> Router {
    around_routes(router).fallback_service(behind)
}

fn around_routes(router: Router) -> Router {
    router.method_not_allowed_fallback(method_not_allowed).layer(middleware::from_fn(around))
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

    let response = next.run(request).await;

    let mut response = error::with_request_id(response, &id);
    response.headers_mut().insert(REQUEST_ID, id.header());
    let status = response.status().as_u16().to_string();
    metrics::histogram!("signal_http_request_duration_seconds", "method" => method, "route" => route, "status" => status)
        .record(started.elapsed());
    response
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
