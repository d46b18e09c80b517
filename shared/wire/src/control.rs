//! What edges tell each other and nobody else, so that any of them can answer for all: who is there, what is asked,
//! what is answered.
//!
//! `signal:control` carries announcements and requests, `signal:control:reply:{requestId}` the answers to one request,
//! `signal:control:canary:{edge}` what an edge says to itself. Ids are UUIDs in text. Fields and kinds that a reader
//! does not know are from a later version and passed over.

mod reply;
mod request;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::{
    reply::{Answer, Client, Page, Reply},
    request::{Ask, Request, ToClient},
};
use crate::envelope;

/// Heard by every edge.
pub const CHANNEL: &str = "signal:control";
/// Larger messages are dropped: what an operator may send, and room for the rest of the request.
pub const MAX_BYTES: usize = envelope::MAX_BYTES + 16 * 1024;

const REPLY_PREFIX: &str = "signal:control:reply:";
const CANARY_PREFIX: &str = "signal:control:canary:";

/// Which of the channels between edges a message is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    Control,
    /// The request's id.
    Reply(&'a str),
    /// The edge's id.
    Canary(&'a str),
}

impl<'a> Channel<'a> {
    /// `None` for channels that are not the edges' own.
    pub fn of(name: &'a str) -> Option<Self> {
        if name == CHANNEL {
            return Some(Self::Control);
        }
        let reply = name.strip_prefix(REPLY_PREFIX).map(Self::Reply);
        reply.or_else(|| name.strip_prefix(CANARY_PREFIX).map(Self::Canary))
    }

    pub fn name(self) -> String {
        match self {
            Self::Control => CHANNEL.to_owned(),
            Self::Reply(request) => format!("{REPLY_PREFIX}{request}"),
            Self::Canary(edge) => format!("{CANARY_PREFIX}{edge}"),
        }
    }
}

/// Why a message between edges was dropped; the label under which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the message is larger than it may be")]
    TooLarge,
    #[error("the message is not one of this protocol")]
    Malformed,
}

impl Refusal {
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
        }
    }
}

/// What an edge holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Open WebSockets, authenticated or not.
    pub connections: u64,
    pub authenticated: u64,
    pub users: u64,
    /// Rooms that clients asked for.
    pub rooms: u64,
}

/// An edge that is there, and will be for a lease from when this is heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// Made when the process starts, so that a restarted edge is another one.
    pub edge: String,
    #[serde(default)]
    pub version: String,
    /// Unix milliseconds.
    #[serde(default)]
    pub started_at: i64,
    #[serde(default)]
    pub counts: Counts,
}

/// A message on [`CHANNEL`].
#[derive(Clone, Debug)]
pub enum Control {
    /// An announcement of who hears only from now on: the others announce themselves at once.
    Hello(Announcement),
    Announce(Announcement),
    /// This edge (its id) has no clients any more and is not to be expected to answer.
    Goodbye(String),
    Request(Request),
    /// Of a later version.
    Unknown,
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    body: T,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Goodbye<'a> {
    #[serde(borrow)]
    edge: Cow<'a, str>,
}

const HELLO: &str = "hello";
const ANNOUNCE: &str = "announce";
const GOODBYE: &str = "goodbye";

impl Control {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(body) => tagged(HELLO, body),
            Self::Announce(body) => tagged(ANNOUNCE, body),
            Self::Goodbye(edge) => tagged(GOODBYE, Goodbye { edge: edge.into() }),
            Self::Request(request) => request.encode(),
            Self::Unknown => tagged("unknown", ()),
        }
    }

    pub fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        Ok(match &*kind(payload, MAX_BYTES)? {
            HELLO => Self::Hello(body(payload)?),
            ANNOUNCE => Self::Announce(body(payload)?),
            GOODBYE => Self::Goodbye(body::<Goodbye<'_>>(payload)?.edge.into_owned()),
            kind => Request::decode(kind, payload)?.map_or(Self::Unknown, Self::Request),
        })
    }
}

fn tagged(kind: &str, body: impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&Tagged { kind, body }).expect("messages between edges have string keys")
}

/// The `kind` of a JSON object.
fn kind(payload: &[u8], max_bytes: usize) -> Result<Cow<'_, str>, Refusal> {
    if payload.len() > max_bytes {
        return Err(Refusal::TooLarge);
    }
    // serde would take an array for a struct, field by field.
    if payload.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::Malformed);
    }
    body::<Kind<'_>>(payload).map(|message| message.kind)
}

fn body<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(payload).map_err(|_| Refusal::Malformed)
}

#[cfg(test)]
mod tests;
