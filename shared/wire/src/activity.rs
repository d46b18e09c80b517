//! The value of a Kafka record on `SIGNAL_ACTIVITY_NOTIFICATION`.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use crate::timestamp;

pub const TOPIC: &str = "SIGNAL_ACTIVITY_NOTIFICATION";
/// Larger values are refused before they are read.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Ids and types above this many bytes are refused; they become keys of tables and channels.
pub const MAX_ID_BYTES: usize = 256;

/// Something happened that people are to be told of.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityEvent {
    /// The idempotency key; without it `{topic}/{partition}/{offset}` is.
    pub id: Option<String>,
    pub kind: String,
    pub occurred_at: Option<OffsetDateTime>,
    pub organizer_id: Option<String>,
    pub merchant_id: Option<String>,
    pub user_ids: Vec<String>,
    pub exclude_user_ids: Vec<String>,
    pub actor: Option<Actor>,
    /// What the event type makes its text of.
    pub data: Map<String, Value>,
    /// Fields that this version does not know; kept in the row's `metadata`.
    pub unknown: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    pub id: String,
    pub kind: Option<String>,
}

/// Why a record can't be handled. The texts name fields, never their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the record has no value")]
    Empty,
    #[error("the value is larger than 1 MiB")]
    TooLarge,
    #[error("the value is not JSON")]
    NotJson,
    #[error("the value is not a JSON object")]
    NotAnObject,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not valid")]
    Invalid(&'static str),
    /// A database's text can't hold it.
    #[error("the value contains U+0000")]
    NulCharacter,
    #[error("none of organizerId, merchantId, userIds is given")]
    NoScope,
}

impl Malformed {
    /// The label under which it is counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::Missing(_) => "missing_field",
            Self::Invalid(_) => "invalid_field",
            Self::NulCharacter => "nul_character",
            Self::NoScope => "no_scope",
        }
    }
}

impl ActivityEvent {
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        if value.is_empty() {
            return Err(Malformed::Empty);
        }
        if value.len() > MAX_BYTES {
            return Err(Malformed::TooLarge);
        }
        // serde_json bounds nesting at 128 levels and refuses numbers beyond an f64.
        let Value::Object(mut fields) = serde_json::from_slice(value).map_err(|_| Malformed::NotJson)? else {
            return Err(Malformed::NotAnObject);
        };
        if fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)) {
            return Err(Malformed::NulCharacter);
        }
        let event = Self {
            id: id(&mut fields, "id")?,
            kind: id(&mut fields, "type")?.ok_or(Malformed::Missing("type"))?,
            occurred_at: occurred_at(&mut fields)?,
            organizer_id: id(&mut fields, "organizerId")?,
            merchant_id: id(&mut fields, "merchantId")?,
            user_ids: ids(&mut fields, "userIds")?,
            exclude_user_ids: ids(&mut fields, "excludeUserIds")?,
            actor: actor(&mut fields)?,
            data: object(&mut fields, "data")?,
            unknown: fields,
        };
        if event.organizer_id.is_none() && event.merchant_id.is_none() && event.user_ids.is_empty() {
            return Err(Malformed::NoScope);
        }
        Ok(event)
    }
}

/// Recursion is bounded by the parser's own limit on nesting.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Removes a field; `null` is as good as absent.
fn take(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    fields.remove(name).filter(|value| !value.is_null())
}

/// Ids are strings; producers with numeric keys may write integers.
fn as_id(value: Value, name: &'static str) -> Result<String, Malformed> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
        _ => return Err(Malformed::Invalid(name)),
    };
    if text.is_empty() || text.len() > MAX_ID_BYTES {
        return Err(Malformed::Invalid(name));
    }
    Ok(text)
}

fn id(fields: &mut Map<String, Value>, name: &'static str) -> Result<Option<String>, Malformed> {
    take(fields, name).map(|value| as_id(value, name)).transpose()
}

fn ids(fields: &mut Map<String, Value>, name: &'static str) -> Result<Vec<String>, Malformed> {
    match take(fields, name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.into_iter().map(|item| as_id(item, name)).collect(),
        Some(_) => Err(Malformed::Invalid(name)),
    }
}

fn object(fields: &mut Map<String, Value>, name: &'static str) -> Result<Map<String, Value>, Malformed> {
    match take(fields, name) {
        None => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(Malformed::Invalid(name)),
    }
}

fn occurred_at(fields: &mut Map<String, Value>) -> Result<Option<OffsetDateTime>, Malformed> {
    const NAME: &str = "occurredAt";
    match take(fields, NAME) {
        None => Ok(None),
        Some(Value::String(text)) => timestamp::parse(&text).map(Some).ok_or(Malformed::Invalid(NAME)),
        Some(_) => Err(Malformed::Invalid(NAME)),
    }
}

fn actor(fields: &mut Map<String, Value>) -> Result<Option<Actor>, Malformed> {
    match take(fields, "actor") {
        None => Ok(None),
        Some(Value::Object(mut actor)) => Ok(Some(Actor {
            id: id(&mut actor, "id")?.ok_or(Malformed::Missing("actor.id"))?,
            kind: id(&mut actor, "type")?,
        })),
        Some(_) => Err(Malformed::Invalid("actor")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<ActivityEvent, Malformed> {
        ActivityEvent::parse(&serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn reads_the_documented_record() {
        let event = parse(&json!({
            "id": "evt_1", "type": "PAYMENT_SUCCESS", "occurredAt": "2026-11-23T08:00:00.000Z",
            "organizerId": "org-1", "merchantId": "mer-1", "userIds": ["user-9", 12], "excludeUserIds": ["user-3"],
            "actor": { "id": "user-3", "type": "User" }, "data": { "amount": "125000" }, "later": [1]
        }))
        .unwrap();
        assert_eq!(event.id.as_deref(), Some("evt_1"));
        assert_eq!(event.user_ids, ["user-9", "12"]);
        assert_eq!(event.actor, Some(Actor { id: "user-3".into(), kind: Some("User".into()) }));
        assert_eq!(event.data["amount"], "125000");
        assert_eq!(event.unknown["later"], json!([1]));
        assert_eq!(event.occurred_at.unwrap().unix_timestamp(), 1_795_420_800);
    }

    #[test]
    fn says_what_is_wrong() {
        let with = |name: &str, value: Value| {
            let mut event = json!({"type": "PAYMENT_SUCCESS", "merchantId": "mer-1"});
            event[name] = value;
            parse(&event).unwrap_err()
        };
        assert_eq!(with("type", Value::Null), Malformed::Missing("type"));
        assert_eq!(with("type", json!("")), Malformed::Invalid("type"));
        assert_eq!(with("id", json!(1.5)), Malformed::Invalid("id"));
        assert_eq!(with("id", json!("x".repeat(257))), Malformed::Invalid("id"));
        assert_eq!(with("userIds", json!("user-1")), Malformed::Invalid("userIds"));
        assert_eq!(with("userIds", json!([null])), Malformed::Invalid("userIds"));
        assert_eq!(with("excludeUserIds", json!([{}])), Malformed::Invalid("excludeUserIds"));
        assert_eq!(with("occurredAt", json!("today")), Malformed::Invalid("occurredAt"));
        assert_eq!(with("occurredAt", json!(1)), Malformed::Invalid("occurredAt"));
        assert_eq!(with("actor", json!({})), Malformed::Missing("actor.id"));
        assert_eq!(with("actor", json!("user-1")), Malformed::Invalid("actor"));
        assert_eq!(with("data", json!([])), Malformed::Invalid("data"));
        assert_eq!(with("merchantId", Value::Null), Malformed::NoScope);
        assert_eq!(with("note", json!(["a", {"b": "\0"}])), Malformed::NulCharacter);
        assert_eq!(ActivityEvent::parse(b""), Err(Malformed::Empty));
        assert_eq!(ActivityEvent::parse(b"{"), Err(Malformed::NotJson));
        assert_eq!(ActivityEvent::parse(b"\xff"), Err(Malformed::NotJson));
        assert_eq!(ActivityEvent::parse(b"[]"), Err(Malformed::NotAnObject));
        assert_eq!(ActivityEvent::parse(br#"{"type":"x","n":1e999}"#), Err(Malformed::NotJson));
        assert_eq!(ActivityEvent::parse("[".repeat(100_000).as_bytes()), Err(Malformed::NotJson));
        assert_eq!(ActivityEvent::parse(&vec![b' '; MAX_BYTES + 1]), Err(Malformed::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(ActivityEvent::parse(&bytes).is_err());
        }
    }
}
