//! What goes in and out, and what it must be like.

use std::borrow::Cow;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use signal_service::{
    rest::{Cause, RestError},
    telemetry::traces,
};
use signal_wire::{
    control,
    envelope::{Envelope, MAX_BYTES, Target},
    message::event,
    room, timestamp,
};
use time::OffsetDateTime;
use utoipa::{
    IntoParams, ToSchema,
    openapi::{Array, ArrayBuilder, ObjectBuilder, SchemaFormat, Type, schema::SchemaType},
};
use uuid::Uuid;

use crate::cluster::{Listing, MAX_LIMIT, Status};

const DEFAULT_LIMIT: usize = 50;
const MAX_EVENT_UNITS: usize = 256;
const MAX_EXCLUDED: usize = 10_000;
/// The protocol's own events, which say what the edge itself does. `resync` is not among them: that clients are to read
/// again is an operator's to know, too.
const RESERVED_EVENTS: [&str; 10] = [
    event::AUTHENTICATE,
    event::CONNECTED,
    event::ENCRYPTED,
    event::ERROR,
    event::HEARTBEAT,
    event::JOIN,
    event::LEAVE,
    event::RECONNECT,
    event::REFRESH,
    event::REFRESHED,
];

/// This edge, and all of them together
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SocketStatus {
    edge: EdgeStatus,
    cluster: ClusterStatus,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EdgeStatus {
    /// Another one each time the process starts
    #[schema(format = "uuid")]
    id: String,
    version: &'static str,
    #[schema(format = "date-time")]
    started_at: String,
    uptime_seconds: u64,
    #[serde(flatten)]
    counts: SocketCounts,
}

#[derive(Debug, Serialize, ToSchema)]
struct ClusterStatus {
    /// Edges that are there, this one among them
    edges: usize,
    /// False while this edge may not know all of them
    complete: bool,
    #[serde(flatten)]
    counts: SocketCounts,
}

/// As of the last second
#[derive(Debug, Serialize, ToSchema)]
struct SocketCounts {
    /// Open WebSockets, authenticated or not
    connections: u64,
    /// Authenticated clients
    authenticated: u64,
    /// Users with at least one client; over all edges, each edge's are counted
    users: u64,
    /// Rooms that clients have joined, without those that they are in anyway; counted as users are
    rooms: u64,
}

impl SocketStatus {
    pub(super) fn new(status: &Status) -> Self {
        let edge = EdgeStatus {
            id: status.edge.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            started_at: rfc3339(status.started_at),
            uptime_seconds: status.uptime.as_secs(),
            counts: status.own.into(),
        };
        let cluster = ClusterStatus { edges: status.edges, complete: status.complete, counts: status.all.into() };
        Self { edge, cluster }
    }
}

impl From<control::Counts> for SocketCounts {
    fn from(counts: control::Counts) -> Self {
        let control::Counts { connections, authenticated, users, rooms } = counts;
        Self { connections, authenticated, users, rooms }
    }
}

/// A connected client
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketClient {
    #[schema(format = "uuid")]
    id: String,
    /// A string or an integer, as the token had it
    user_id: Value,
    state: ClientState,
    rooms: Vec<String>,
    /// Whether what it is sent is sealed
    encrypted: bool,
    /// The version of the protocol that it speaks
    protocol: u8,
    #[schema(format = "date-time")]
    connected_at: String,
    /// When it last said anything, to the second
    #[schema(format = "date-time")]
    last_activity: String,
    /// The edge that it is connected to
    #[schema(format = "uuid")]
    edge: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ClientState {
    Authenticated,
}

impl SocketClient {
    pub(super) fn new(client: control::Client, edge: Uuid) -> Self {
        Self {
            id: client.id,
            user_id: client.user_id,
            // Nobody else is listed, and whoever is authenticated has agreed on a key.
            state: ClientState::Authenticated,
            encrypted: true,
            rooms: client.rooms,
            protocol: client.protocol,
            connected_at: rfc3339(client.connected_at),
            last_activity: rfc3339(client.last_activity),
            edge: edge.to_string(),
        }
    }
}

/// Clients of all edges, by id
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketClientPage {
    data: Vec<SocketClient>,
    /// Ask for the next page with it; null on the last one
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// False if there may be clients on this page's stretch that are not shown, since an edge has not answered
    complete: bool,
    edges: EdgesHeard,
}

#[derive(Debug, Serialize, ToSchema)]
struct EdgesHeard {
    expected: usize,
    answered: usize,
}

impl From<Listing> for SocketClientPage {
    fn from(listing: Listing) -> Self {
        Self {
            data: listing.clients.into_iter().map(|(edge, client)| SocketClient::new(client, edge)).collect(),
            next_cursor: listing.next.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id.as_bytes())),
            complete: listing.complete,
            edges: EdgesHeard { expected: listing.expected, answered: listing.answered },
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct SocketClientQuery {
    /// Only clients of this user
    #[param(min_length = 1)]
    user_id: Option<String>,
    /// Only clients in this room; those that a client is in without asking count
    #[param(min_length = 1, max_length = 256)]
    room: Option<String>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `nextCursor` of the page before
    cursor: Option<String>,
}

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) user: Option<String>,
    pub(super) room: Option<String>,
    pub(super) limit: usize,
    pub(super) after: Option<Uuid>,
}

impl SocketClientQuery {
    pub(super) fn checked(self) -> Result<Wish, RestError> {
        let mut causes = Vec::new();
        if self.user_id.as_deref() == Some("") {
            causes.push(Cause::new("userId", "must not be empty", "too_short"));
        }
        if let Some(room) = &self.room {
            causes.extend(room_cause("room", room));
        }
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            causes.push(Cause::new("limit", format!("must be between 1 and {MAX_LIMIT}"), "out_of_range"));
        }
        let after = self.cursor.as_deref().map(read_cursor);
        if after == Some(None) {
            causes.push(Cause::new("cursor", "must be a nextCursor", "invalid_value"));
        }
        or_causes(Wish { user: self.user_id, room: self.room, limit, after: after.flatten() }, &causes)
    }
}

fn read_cursor(text: &str) -> Option<Uuid> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok())
}

/// A message for one client
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketMessage {
    /// Any but the protocol's own
    #[schema(min_length = 1, max_length = 256)]
    event: String,
    /// Anything; handed on to the byte
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Value)]
    data: Option<Box<RawValue>>,
}

/// A message for a room or for everybody
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SocketAnnouncement {
    /// Any but the protocol's own
    #[schema(min_length = 1, max_length = 256)]
    event: String,
    /// Anything; handed on to the byte
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Value)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    #[schema(schema_with = excluded)]
    exclude: Option<Vec<String>>,
}

fn excluded() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".to_owned())));
    let ids = ArrayBuilder::new().schema_type(SchemaType::from_iter([Type::Array, Type::Null]));
    let ids = ids.items(id).max_items(Some(MAX_EXCLUDED));
    ids.description(Some("Ids of clients that are passed over")).build()
}

/// Keeps `null` apart from absence.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl SocketMessage {
    pub(super) fn checked(self, client_id: String) -> Result<control::ToClient, RestError> {
        let causes: Vec<_> = event_cause(&self.event).into_iter().collect();
        let message = or_causes(control::ToClient { client_id, event: self.event, data: self.data }, &causes)?;
        let target = Target::Client(&message.client_id);
        encoded(&Envelope::new("", target, &message.event, message.data.as_deref()))?;
        Ok(message)
    }
}

impl SocketAnnouncement {
    /// The envelope for `target`, and its encoding.
    pub(super) fn checked<'a>(
        &'a self,
        server_id: &'a str,
        target: Target<'a>,
    ) -> Result<(Envelope<'a>, Vec<u8>), RestError> {
        let mut causes: Vec<_> = event_cause(&self.event).into_iter().collect();
        if let Target::Room(room) = target {
            causes.extend(room_cause("room", room));
        }
        let exclude = self.exclude.as_deref().unwrap_or_default();
        if exclude.len() > MAX_EXCLUDED {
            causes.push(Cause::new("exclude", format!("must not be more than {MAX_EXCLUDED}"), "too_long"));
        } else if let Some(at) = exclude.iter().position(|id| Uuid::try_parse(id).is_err()) {
            causes.push(Cause::new(format!("exclude.{at}"), "must be a UUID", "invalid_value"));
        }
        let mut envelope = or_causes(Envelope::new(server_id, target, &self.event, self.data.as_deref()), &causes)?;
        envelope.exclude = (!exclude.is_empty()).then(|| exclude.iter().map(|id| Cow::Borrowed(id.as_str())).collect());
        envelope.traceparent = traces::current_traceparent().map(Cow::Owned);
        let encoded = encoded(&envelope)?;
        Ok((envelope, encoded))
    }
}

/// A message that is on its way
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SocketDelivery {
    /// False if the backplane did not take it: then only clients of this edge are sent it
    pub(super) complete: bool,
}

impl IntoResponse for SocketDelivery {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

fn event_cause(event: &str) -> Option<Cause> {
    if event.is_empty() {
        return Some(Cause::new("event", "must not be empty", "too_short"));
    }
    if event.encode_utf16().count() > MAX_EVENT_UNITS {
        let message = format!("must not be longer than {MAX_EVENT_UNITS} UTF-16 units");
        return Some(Cause::new("event", message, "too_long"));
    }
    RESERVED_EVENTS.contains(&event).then(|| Cause::new("event", "is one of the protocol's own", "reserved"))
}

fn room_cause(path: &str, name: &str) -> Option<Cause> {
    let message = "must be 1 to 256 UTF-16 units and not begin with ws:";
    (!room::is_valid_name(name)).then(|| Cause::new(path, message, "invalid_value"))
}

fn or_causes<T>(value: T, causes: &[Cause]) -> Result<T, RestError> {
    if causes.is_empty() { Ok(value) } else { Err(RestError::validation(causes)) }
}

fn encoded(envelope: &Envelope<'_>) -> Result<Vec<u8>, RestError> {
    let encoded = envelope.encode();
    if encoded.len() > MAX_BYTES { Err(RestError::too_large()) } else { Ok(encoded) }
}

fn rfc3339(unix_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    timestamp::format(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}
