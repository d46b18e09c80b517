//! The edge's part of the REST API, and its description.

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::OpenApi;

use crate::{
    clients::{self, Clients},
    identity::{self, Identity},
};

/// The routes under `base_path`, to be finished with the others.
pub(crate) fn router(base_path: &str, clients: Clients, identity: Identity) -> Router {
    let (clients_routes, _) = clients::documented().with_state(Arc::new(clients)).split_for_parts();
    let (identity_routes, _) = identity::documented().with_state(identity).split_for_parts();
    let router = clients_routes.merge(identity_routes);
    if base_path.is_empty() { router } else { Router::new().nest(base_path, router) }
}

/// What they are, with paths relative to the base path.
pub fn openapi() -> OpenApi {
    let mut document = clients::documented().into_openapi();
    document.merge(identity::documented().into_openapi());
    document
}
