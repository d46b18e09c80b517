//! What `explain` asks the workers, and what each of them remembers.
//!
//! A request goes to [`CHANNEL`], the answers to [`reply_channel`] of its id. Fields that a reader does not know are from
//! a later version and passed over.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::timestamp;

/// Heard by every worker.
pub const CHANNEL: &str = "signal:worker:explain";
/// Larger messages are dropped.
pub const MAX_BYTES: usize = 64 * 1024;
/// Entries of one answer, the newest: no event is processed more often while anybody watches.
pub const MAX_ENTRIES: usize = 100;

/// Where answers to a request go.
pub fn reply_channel(request_id: &str) -> String {
    format!("{CHANNEL}:reply:{request_id}")
}

/// What becomes of this event?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Of the asker's making; a UUID.
    pub request_id: String,
    /// An event's id, or `{topic}/{partition}/{offset}`.
    pub event: String,
}

/// One worker's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// Another one each time the process starts.
    pub worker: String,
    /// From when on the worker knows all that it did.
    #[serde(with = "timestamp::rfc3339")]
    pub since: OffsetDateTime,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

/// What a worker did with a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Empty where the record could not be read.
    pub event_id: String,
    /// `{topic}/{partition}/{offset}`
    pub position: String,
    /// When the record's batch was done.
    #[serde(with = "timestamp::rfc3339")]
    pub at: OffsetDateTime,
    /// Rows that were written.
    pub inserted: u64,
    /// Rows that were there already; they were pushed again.
    pub existing: u64,
    /// Rows that were there and that their people had deleted.
    pub deleted: u64,
    /// Pushes that the backplane took.
    pub sent: u64,
    /// Pushes that it did not take; whom they were for was told to read again.
    pub missed: u64,
    /// Why the record was set aside, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

impl Entry {
    /// Of a record of which nothing has become yet.
    pub fn of(position: String) -> Self {
        Self {
            event_id: String::new(),
            position,
            at: OffsetDateTime::UNIX_EPOCH,
            inserted: 0,
            existing: 0,
            deleted: 0,
            sent: 0,
            missed: 0,
            rejected: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_documented_shape() {
        let at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
        let entry =
            Entry { event_id: "evt_1".into(), at, inserted: 2, existing: 1, sent: 3, ..Entry::of("T/3/41".into()) };
        let reply = Reply { worker: "w".into(), since: at, entries: vec![entry] };
        let json = serde_json::to_string(&reply).unwrap();
        assert_eq!(
            json,
            r#"{"worker":"w","since":"2026-11-23T08:51:04.867Z","entries":[{"eventId":"evt_1","position":"T/3/41","at":"2026-11-23T08:51:04.867Z","inserted":2,"existing":1,"deleted":0,"sent":3,"missed":0}]}"#
        );
        assert_eq!(serde_json::from_str::<Reply>(&json).unwrap(), reply);
        assert_eq!(reply_channel("7"), "signal:worker:explain:reply:7");
        let request: Request = serde_json::from_str(r#"{"requestId":"7","event":"evt_1","later":1}"#).unwrap();
        assert_eq!(request, Request { request_id: "7".into(), event: "evt_1".into() });
    }
}
