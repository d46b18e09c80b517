//! `GET {base}/identity`: what clients of protocol v2 pin. Public, as the keys are.

use std::sync::Arc;

use axum::{Json, extract::State, http::header::CACHE_CONTROL, response::IntoResponse};
use serde::Serialize;
use serde_json::{Value, json};
use signal_seal::identity::IdentityKey;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// A key is changed by publishing the new one long before it signs; five minutes are no time beside that.
const FRESH: &str = "public, max-age=300";

pub(crate) type Identity = Option<Arc<IdentityKey>>;

/// A JWK set (RFC 7517, section 5)
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityKeys)]
struct Keys {
    /// P-256 keys for ES256, the one that signs first; none where the edge has no identity
    #[schema(value_type = Vec<Object>)]
    keys: Value,
}

pub(crate) fn documented() -> OpenApiRouter<Identity> {
    OpenApiRouter::default().routes(routes!(identity))
}

/// The edge's identity
///
/// The public keys with which this edge signs handshakes of protocol v2.
#[utoipa::path(
    get,
    path = "/identity",
    tag = "Identity",
    operation_id = "getIdentity",
    responses((status = 200, description = "A JWK set", body = Keys))
)]
async fn identity(State(identity): State<Identity>) -> impl IntoResponse {
    let mut set = identity.map_or_else(|| json!({ "keys": [] }), |identity| identity.jwk_set());
    ([(CACHE_CONTROL, FRESH)], Json(Keys { keys: set["keys"].take() }))
}
