//! What one edge answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Refusal, body, kind, tagged};

/// An answer, on the reply channel of its request.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Who answers.
    pub edge: String,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Page(Page),
    Client(Client),
    /// The client is here, and what was asked is done.
    Done,
    /// The client is not here.
    Absent,
    /// The client is here, but what was asked is not done for lack of room.
    Busy,
}

/// Clients of one edge, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub clients: Vec<Client>,
    /// Up to which id, inclusive, this page goes; absent if it goes to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// One client as its edge sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    pub id: String,
    /// As the token had it: a string or a number.
    pub user_id: Value,
    pub rooms: Vec<String>,
    pub protocol: u8,
    /// Unix milliseconds, like the next.
    pub connected_at: i64,
    pub last_activity: i64,
}

#[derive(Deserialize)]
struct Sender {
    edge: String,
}

#[derive(Serialize)]
struct Answered<'a, T> {
    edge: &'a str,
    #[serde(flatten)]
    answer: T,
}

#[derive(Serialize, Deserialize)]
struct One<T> {
    client: T,
}

const PAGE: &str = "page";
const CLIENT: &str = "client";
const DONE: &str = "done";
const ABSENT: &str = "absent";
const BUSY: &str = "busy";

impl Reply {
    /// Larger replies are dropped. An edge keeps its pages well below.
    pub const MAX_BYTES: usize = 1024 * 1024;

    pub fn encode(&self) -> Vec<u8> {
        let edge = self.edge.as_str();
        match &self.answer {
            Answer::Page(page) => tagged(PAGE, Answered { edge, answer: page }),
            Answer::Client(client) => tagged(CLIENT, Answered { edge, answer: One { client } }),
            Answer::Done => tagged(DONE, Answered { edge, answer: () }),
            Answer::Absent => tagged(ABSENT, Answered { edge, answer: () }),
            Answer::Busy => tagged(BUSY, Answered { edge, answer: () }),
        }
    }

    /// `None` for an answer of a later version.
    pub fn decode(payload: &[u8]) -> Result<Option<Self>, Refusal> {
        let answer = match &*kind(payload, Self::MAX_BYTES)? {
            PAGE => Answer::Page(body(payload)?),
            CLIENT => Answer::Client(body::<One<Client>>(payload)?.client),
            DONE => Answer::Done,
            ABSENT => Answer::Absent,
            BUSY => Answer::Busy,
            _ => return Ok(None),
        };
        Ok(Some(Self { edge: body::<Sender>(payload)?.edge, answer }))
    }
}
