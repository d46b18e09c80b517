//! A person's notification, as REST returns it and as it is pushed, and what is pushed when it is read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::timestamp;

/// `observation/signal/notification/created` carries this as its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// Clients drop an id that they have.
    pub id: String,
    pub event_id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub recipient_id: String,
    pub organizer_id: Option<String>,
    pub merchant_id: Option<String>,
    pub title: String,
    /// Plain text.
    pub content: String,
    /// The same, rendered and sanitised.
    pub html: String,
    pub metadata: Map<String, Value>,
    #[serde(with = "timestamp::rfc3339_option")]
    pub read_at: Option<OffsetDateTime>,
    #[serde(with = "timestamp::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "timestamp::rfc3339")]
    pub modified_at: OffsetDateTime,
}

/// `observation/signal/notification/read` carries this as its data: `{ids, readAt}`, or `{all, before?, readAt}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Read {
    /// Those that were unread until now; `None` if it was all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Of `all`, only those created before this moment; a whole millisecond, as `createdAt` shows it.
    #[serde(default, with = "timestamp::rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub before: Option<OffsetDateTime>,
    #[serde(with = "timestamp::rfc3339")]
    pub read_at: OffsetDateTime,
}

impl Read {
    pub fn these(ids: Vec<String>, read_at: OffsetDateTime) -> Self {
        Self { ids: Some(ids), all: false, before: None, read_at }
    }

    pub fn all(before: Option<OffsetDateTime>, read_at: OffsetDateTime) -> Self {
        Self { ids: None, all: true, before, read_at }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

/// `observation/signal/notification/unread` carries this as its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    pub unread: u64,
    /// Of one person's, the higher one is the later one. They have gaps.
    pub version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_shape_that_clients_know() {
        let at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
        let notification = Notification {
            id: "IVUXjyIIOO".into(),
            event_id: "evt_1".into(),
            kind: "PAYMENT_SUCCESS".into(),
            recipient_id: "user-9".into(),
            organizer_id: None,
            merchant_id: Some("mer-1".into()),
            title: "Payment received".into(),
            content: "text".into(),
            html: "<p>text</p>".into(),
            metadata: Map::new(),
            read_at: None,
            created_at: at,
            modified_at: at,
        };
        let json = serde_json::to_string(&notification).unwrap();
        assert_eq!(
            json,
            r#"{"id":"IVUXjyIIOO","eventId":"evt_1","type":"PAYMENT_SUCCESS","recipientId":"user-9","organizerId":null,"merchantId":"mer-1","title":"Payment received","content":"text","html":"<p>text</p>","metadata":{},"readAt":null,"createdAt":"2026-11-23T08:51:04.867Z","modifiedAt":"2026-11-23T08:51:04.867Z"}"#
        );
        assert_eq!(serde_json::from_str::<Notification>(&json).unwrap(), notification);
    }

    #[test]
    fn what_was_read_is_named_or_all_of_it() {
        let read_at = timestamp::parse("2026-11-23T08:51:04.867Z").unwrap();
        let before = timestamp::parse("2026-11-23T08:00:00Z").unwrap();
        for (read, json) in [
            (
                Read::these(vec!["IVUXjyIIOO".into(), "IVUXjyIIOP".into()], read_at),
                r#"{"ids":["IVUXjyIIOO","IVUXjyIIOP"],"readAt":"2026-11-23T08:51:04.867Z"}"#,
            ),
            (Read::all(None, read_at), r#"{"all":true,"readAt":"2026-11-23T08:51:04.867Z"}"#),
            (
                Read::all(Some(before), read_at),
                r#"{"all":true,"before":"2026-11-23T08:00:00.000Z","readAt":"2026-11-23T08:51:04.867Z"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            assert_eq!(serde_json::from_str::<Read>(json).unwrap(), read);
        }
    }

    #[test]
    fn the_count_has_its_version() {
        let unread = Unread { unread: 3, version: 7421 };
        let json = r#"{"unread":3,"version":7421}"#;
        assert_eq!(serde_json::to_string(&unread).unwrap(), json);
        assert_eq!(serde_json::from_str::<Unread>(json).unwrap(), unread);
    }
}
