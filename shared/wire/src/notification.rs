//! A person's notification, as REST returns it and as it is pushed.

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
}
