//! Who is connected.

use std::sync::Arc;

use axum::{Json, extract::State};
use signal_service::{
    doc::responses::{Addressed, Guarded, TooManyRequests, WithQuery},
    rest::{Path, Query, RestError},
};
use signal_wire::control::Ask;

use super::{
    Clients, TAG,
    operator::{Allowed, Get, List},
    refused,
    shapes::{SocketClient, SocketClientPage, SocketClientQuery, SocketStatus},
    somewhere,
};
use crate::cluster::Found;

/// What this edge and the cluster hold
#[utoipa::path(
    get,
    path = "/socket/websocket/clients/status",
    tag = TAG,
    operation_id = "getSocketStatus",
    responses((status = 200, description = "Counts from memory, never older than a second or two", body = SocketStatus))
)]
pub(super) async fn status(State(clients): State<Arc<Clients>>) -> Json<SocketStatus> {
    Json(SocketStatus::new(&clients.cluster.status()))
}

/// Clients of all edges
///
/// In the order of their ids, which no coming and going changes.
#[utoipa::path(
    get,
    path = "/socket/websocket/clients",
    tag = TAG,
    operation_id = "listSocketClients",
    security(("bearer" = [])),
    params(SocketClientQuery),
    responses((status = 200, description = "A page", body = SocketClientPage), Guarded, WithQuery, TooManyRequests)
)]
pub(super) async fn list(
    _: Allowed<List>,
    State(clients): State<Arc<Clients>>,
    Query(query): Query<SocketClientQuery>,
) -> Result<Json<SocketClientPage>, RestError> {
    let wish = query.checked()?;
    let listing = clients.cluster.list(wish.user, wish.room, wish.after, wish.limit).await.map_err(refused)?;
    Ok(Json(listing.into()))
}

/// One client, wherever it is connected
#[utoipa::path(
    get,
    path = "/socket/websocket/clients/{id}",
    tag = TAG,
    operation_id = "getSocketClient",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The client's id", format = "uuid")),
    responses((status = 200, description = "The client", body = SocketClient), Guarded, Addressed, TooManyRequests)
)]
pub(super) async fn get(
    _: Allowed<Get>,
    State(clients): State<Arc<Clients>>,
    Path(id): Path<String>,
) -> Result<Json<SocketClient>, RestError> {
    match somewhere(&clients, &id, |client_id| Ask::Get { client_id }).await? {
        Found::Client(client, edge) => Ok(Json(SocketClient::new(*client, edge))),
        // Nobody answers otherwise to this question.
        _ => Err(super::unknown()),
    }
}
