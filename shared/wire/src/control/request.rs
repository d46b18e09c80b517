//! What one edge asks all the others.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Refusal, body, tagged};

/// A request, answered on the reply channel of its id by every edge that is not the asker.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub edge: String,
    pub id: String,
    pub ask: Ask,
}

#[derive(Clone, Debug)]
pub enum Ask {
    /// The next clients by id; answered by [`super::Answer::Page`].
    List {
        user_id: Option<String>,
        room: Option<String>,
        after: Option<String>,
        limit: usize,
    },
    /// Answered by [`super::Answer::Client`] or [`super::Answer::Absent`], as are the others by
    /// [`super::Answer::Done`].
    Get {
        client_id: String,
    },
    Disconnect {
        client_id: String,
    },
    Send(ToClient),
}

/// A message for one client.
#[derive(Clone, Debug)]
pub struct ToClient {
    pub client_id: String,
    pub event: String,
    /// Handed on to the byte.
    pub data: Option<Box<RawValue>>,
}

/// Every field that some kind of request has.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields {
    edge: String,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    data: Option<Box<RawValue>>,
}

/// Keeps `null` apart from absence.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

const LIST: &str = "list";
const GET: &str = "get";
const DISCONNECT: &str = "disconnect";
const SEND: &str = "send";

impl Ask {
    /// The kind, which is also the label under which requests are counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::List { .. } => LIST,
            Self::Get { .. } => GET,
            Self::Disconnect { .. } => DISCONNECT,
            Self::Send(_) => SEND,
        }
    }
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = Fields { edge: self.edge.clone(), request_id: self.id.clone(), ..Fields::default() };
        match &self.ask {
            Ask::List { user_id, room, after, limit } => {
                fields.user_id.clone_from(user_id);
                fields.room.clone_from(room);
                fields.after.clone_from(after);
                fields.limit = Some(*limit);
            }
            Ask::Get { client_id } | Ask::Disconnect { client_id } => fields.client_id = Some(client_id.clone()),
            Ask::Send(ToClient { client_id, event, data }) => {
                fields.client_id = Some(client_id.clone());
                fields.event = Some(event.clone());
                fields.data.clone_from(data);
            }
        }
        tagged(self.ask.kind(), fields)
    }

    /// `None` for a kind of a later version.
    pub(super) fn decode(kind: &str, payload: &[u8]) -> Result<Option<Self>, Refusal> {
        if ![LIST, GET, DISCONNECT, SEND].contains(&kind) {
            return Ok(None);
        }
        let fields: Fields = body(payload)?;
        if fields.edge.is_empty() || fields.request_id.is_empty() {
            return Err(Refusal::Malformed);
        }
        let client_id = || fields.client_id.clone().ok_or(Refusal::Malformed);
        let ask = match kind {
            LIST => Ask::List {
                user_id: fields.user_id,
                room: fields.room,
                after: fields.after,
                limit: fields.limit.ok_or(Refusal::Malformed)?,
            },
            GET => Ask::Get { client_id: client_id()? },
            DISCONNECT => Ask::Disconnect { client_id: client_id()? },
            _ => Ask::Send(ToClient {
                client_id: client_id()?,
                event: fields.event.ok_or(Refusal::Malformed)?,
                data: fields.data,
            }),
        };
        Ok(Some(Self { edge: fields.edge, id: fields.request_id, ask }))
    }
}
