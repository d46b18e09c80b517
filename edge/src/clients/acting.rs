//! What operators do to clients.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use signal_service::{
    doc::responses::{Addressed, Guarded, TooManyRequests, WithBody},
    rest::{Body, Path, RestError},
};
use signal_wire::{control::Ask, envelope::Target};

use super::{
    Clients, TAG,
    operator::{Allowed, Broadcast, Disconnect, SendToClient, SendToRoom},
    overloaded,
    shapes::{SocketAnnouncement, SocketDelivery, SocketMessage},
    somewhere,
};

/// Sends to every client
#[utoipa::path(
    post,
    path = "/socket/websocket/clients/broadcast",
    tag = TAG,
    operation_id = "broadcastToSocketClients",
    security(("bearer" = [])),
    request_body = SocketAnnouncement,
    responses((status = 202, description = "On its way", body = SocketDelivery), Guarded, WithBody)
)]
pub(super) async fn broadcast(
    _: Allowed<Broadcast>,
    State(clients): State<Arc<Clients>>,
    Body(announcement): Body<SocketAnnouncement>,
) -> Result<SocketDelivery, RestError> {
    say(&clients, Target::Broadcast, &announcement).await
}

/// Sends to every client in a room
#[utoipa::path(
    post,
    path = "/socket/websocket/clients/rooms/{room}/send",
    tag = TAG,
    operation_id = "sendToSocketRoom",
    security(("bearer" = [])),
    params(("room" = String, Path, description = "The room's name", min_length = 1, max_length = 256)),
    request_body = SocketAnnouncement,
    responses((status = 202, description = "On its way", body = SocketDelivery), Guarded, Addressed, WithBody)
)]
pub(super) async fn send_to_room(
    _: Allowed<SendToRoom>,
    State(clients): State<Arc<Clients>>,
    Path(room): Path<String>,
    Body(announcement): Body<SocketAnnouncement>,
) -> Result<SocketDelivery, RestError> {
    say(&clients, Target::Room(&room), &announcement).await
}

async fn say(
    clients: &Clients,
    target: Target<'_>,
    announcement: &SocketAnnouncement,
) -> Result<SocketDelivery, RestError> {
    let (envelope, encoded) = announcement.checked(clients.cluster.server_id(), target)?;
    let complete = clients.cluster.say(target, &envelope, encoded).await.map_err(|_| overloaded())?;
    Ok(SocketDelivery { complete })
}

/// Sends to one client, wherever it is connected
#[utoipa::path(
    post,
    path = "/socket/websocket/clients/{id}/send",
    tag = TAG,
    operation_id = "sendToSocketClient",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The client's id", format = "uuid")),
    request_body = SocketMessage,
    responses(
        (status = 202, description = "With its edge", body = SocketDelivery),
        Guarded, Addressed, WithBody, TooManyRequests
    )
)]
pub(super) async fn send_to_client(
    _: Allowed<SendToClient>,
    State(clients): State<Arc<Clients>>,
    Path(id): Path<String>,
    Body(message): Body<SocketMessage>,
) -> Result<SocketDelivery, RestError> {
    let message = message.checked(id.clone())?;
    somewhere(&clients, &id, |client_id| Ask::Send(signal_wire::control::ToClient { client_id, ..message })).await?;
    Ok(SocketDelivery { complete: true })
}

/// Closes a client's connection with 4007, wherever it is
#[utoipa::path(
    delete,
    path = "/socket/websocket/clients/{id}",
    tag = TAG,
    operation_id = "disconnectSocketClient",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The client's id", format = "uuid")),
    responses((status = 204, description = "It is being closed"), Guarded, Addressed, TooManyRequests)
)]
pub(super) async fn disconnect(
    _: Allowed<Disconnect>,
    State(clients): State<Arc<Clients>>,
    Path(id): Path<String>,
) -> Result<StatusCode, RestError> {
    somewhere(&clients, &id, |client_id| Ask::Disconnect { client_id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
