//! The demo: a page, and the little API that it needs beside Signal's own.
//!
//! | route | answer |
//! |---|---|
//! | `GET /`, `GET /assets/…` | the page |
//! | `GET /.well-known/jwks.json` | the development issuer's JWK set |
//! | `GET /demo/settings` | `{streamPath, basePath, version, embedded}` |
//! | `GET /demo/people` | `[{id, name, role, merchants: [{id, name}]}]` |
//! | `POST /demo/sign-in` `{userId}` | `{token, expiresAt, person}`; `operator` may manage clients |
//! | `POST /demo/payments` | 202 `{eventId}`: a record has been produced to the topic |
//!
//! Anybody may sign in as anybody, so other web pages must be kept out: bodies must be
//! JSON, which a foreign page cannot send without asking, and the `Host` must be this
//! machine's name, which a rebound DNS name is not.

pub mod alone;
mod page;
pub mod payments;
mod sign_in;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State, rejection::JsonRejection},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, Uri, header};
use serde_json::{Value, json};
use signal_service::rest::{self, Cause, RestError};

use crate::embedded::{
    issuer::Issuer,
    people::{PEOPLE, Person},
};

/// What the demo is given.
#[derive(Debug)]
pub struct Demo {
    pub stream_path: String,
    pub base_path: String,
    pub embedded: Embedded,
    /// `None` where tokens come from elsewhere.
    pub issuer: Option<Issuer>,
    pub payments: payments::Payments,
    /// Whether requests for other hosts than this machine are answered.
    pub allow_remote: bool,
}

/// Which parts are embedded; the others are real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Embedded {
    pub database: bool,
    pub backplane: bool,
    pub broker: bool,
    pub issuer: bool,
}

type Shared = State<Arc<Demo>>;

/// The demo's routes in front of `behind`, which answers everything else.
pub fn router(demo: Demo, behind: Router) -> Router {
    let demo = Arc::new(demo);
    let router = page::router()
        .route("/demo/settings", get(settings))
        .route("/demo/people", get(|| async { Json(PEOPLE.iter().map(person_json).collect::<Value>()) }))
        .route("/demo/sign-in", post(sign_in::sign_in))
        .route("/demo/payments", post(payments::take))
        .layer(middleware::from_fn_with_state(Arc::clone(&demo), this_host_only))
        // Public keys are for whoever asks: edges and workers know this process under another name.
        .route("/.well-known/jwks.json", get(jwks))
        .layer(middleware::from_fn(not_stored))
        .with_state(demo);
    rest::finish_before(router, behind)
}

async fn settings(State(demo): Shared) -> Json<Value> {
    Json(json!({
        "streamPath": demo.stream_path,
        "basePath": demo.base_path,
        "version": env!("CARGO_PKG_VERSION"),
        "embedded": demo.embedded,
    }))
}

async fn jwks(State(demo): Shared) -> Result<Json<Value>, RestError> {
    let issuer = demo.issuer.as_ref().ok_or_else(RestError::not_found)?;
    Ok(Json(issuer.jwks()))
}

fn person_json(person: &Person) -> Value {
    json!({ "id": person.id, "name": person.name, "role": person.role.name, "merchants": person.merchants })
}

/// A JSON object from a body, or what is wrong with it in the shape that all errors have.
fn object(body: Result<Json<Value>, JsonRejection>) -> Result<Value, RestError> {
    let whole = |message: String, code| RestError::validation(&[Cause { path: String::new(), message, code }]);
    match body {
        Ok(Json(value)) if value.is_object() => Ok(value),
        Ok(_) => Err(whole("must be a JSON object".to_owned(), "invalid_type")),
        Err(JsonRejection::JsonSyntaxError(error)) => Err(whole(error.body_text(), "invalid_json")),
        Err(error) => Err(RestError::new(error.status(), error.body_text())),
    }
}

async fn this_host_only(State(demo): Shared, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if demo.allow_remote || host.is_some_and(is_this_machine) {
        return next.run(request).await;
    }
    RestError::new(StatusCode::MISDIRECTED_REQUEST, "The demo answers only under localhost or a loopback address")
        .into_response()
}

fn is_this_machine(host: &str) -> bool {
    let Some(name) = host.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)) else {
        return false;
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Tokens and the page alike: the next start may have others.
async fn not_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
