//! What the service says of itself: the OpenAPI document and a page that shows it.
//!
//! | route under the base path | answer |
//! |---|---|
//! | `GET /doc/openapi.json` | the document of the whole service, whichever binary answers |
//! | `GET /doc` | the document for people: Scalar's viewer, part of the binary |
//!
//! Each binary generates its part from its handlers; [`merged`] makes one document of the parts, which is committed as
//! `docs/openapi.json` (`signal openapi`) and embedded here, so that an edge knows the worker's routes without knowing
//! the worker. Handlers refer to the answers that all of them have by [`responses`].

mod document;
mod page;
pub mod responses;

use axum::{
    Router,
    body::Bytes,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

pub use self::document::merged;

/// As it was generated last; `standalone` has the test that it is what the handlers say.
const COMMITTED: &str = include_str!("../../../docs/openapi.json");

/// The routes under `base_path`, to be [finished](crate::rest::finish_for) with the others.
pub fn router(base_path: &str) -> Router {
    let document = Bytes::from(document::served_at(COMMITTED, base_path));
    Router::new()
        .route(&format!("{base_path}/doc/openapi.json"), get(move || openapi_json(document)))
        .merge(page::router(base_path))
}

/// This part of the document, relative to the base path.
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi;
    #[derive(OpenApi)]
    #[openapi(paths(openapi_json, page::document_page), tags((name = TAG, description = "What the service says of itself")))]
    struct Documentation;
    Documentation::openapi()
}

const TAG: &str = "Documentation";

/// The OpenAPI document of the whole service
#[utoipa::path(
    get,
    path = "/doc/openapi.json",
    tag = TAG,
    operation_id = "getOpenApiDocument",
    responses((status = 200, description = "This document", content_type = "application/json", body = BTreeMap<String, serde_json::Value>))
)]
async fn openapi_json(document: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], document)
}

#[cfg(test)]
mod tests;
