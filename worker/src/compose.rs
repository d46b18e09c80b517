//! What an event says to people: one file per event type, found in one registry.
//!
//! A composer writes markdown. Whatever it takes from the event goes through [`markdown::value`], so that nobody's
//! name becomes markup, a link or a second line.

pub mod markdown;
pub mod money;
pub mod payment_success;

use serde_json::{Map, Value, json};
use signal_wire::{activity::ActivityEvent, timestamp};

use crate::store::Draft;

/// A title and a content in markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub title: String,
    pub content: String,
}

/// Why nothing can be said of an event. The texts name fields, never their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("no such event type is known here")]
    UnknownType,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

impl ComposeError {
    /// The label under which it is counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::Missing(_) => "missing_data",
            Self::Invalid(_) => "invalid_data",
        }
    }
}

type Composer = fn(&Map<String, Value>) -> Result<Message, ComposeError>;

const REGISTRY: [(&str, Composer); 1] = [(payment_success::TYPE, payment_success::compose)];

/// Composes the draft of an event; `id` is its idempotency key. Takes what the event says and leaves whom it is for.
pub fn compose(event: &mut ActivityEvent, id: String) -> Result<Draft, ComposeError> {
    let (_, composer) = REGISTRY.iter().find(|(kind, _)| *kind == event.kind).ok_or(ComposeError::UnknownType)?;
    let Message { title, content } = composer(&event.data)?;
    Ok(Draft {
        event_id: id,
        kind: event.kind.clone(),
        organizer_id: event.organizer_id.clone(),
        merchant_id: event.merchant_id.clone(),
        title,
        content,
        metadata: metadata(event),
    })
}

/// All that the event said and no column holds: fields that this version does not know, as they came, and beside
/// them its data, actor and time.
fn metadata(event: &mut ActivityEvent) -> Map<String, Value> {
    let mut metadata = std::mem::take(&mut event.unknown);
    if !event.data.is_empty() {
        metadata.insert("data".to_owned(), Value::Object(std::mem::take(&mut event.data)));
    }
    if let Some(actor) = event.actor.take() {
        metadata.insert("actor".to_owned(), json!({ "id": actor.id, "type": actor.kind }));
    }
    if let Some(at) = event.occurred_at {
        metadata.insert("occurredAt".to_owned(), timestamp::format(at).into());
    }
    metadata
}

/// A text of the event's data; producers with numeric codes may write integers.
fn text(data: &Map<String, Value>, name: &'static str) -> Result<Option<String>, ComposeError> {
    match data.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => Ok(Some(number.to_string())),
        Some(_) => Err(ComposeError::Invalid(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[0-9.e+-]{0,24}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let fields = vec((any::<String>(), inner.clone()), 0..4);
            prop_oneof![vec(inner, 0..4).prop_map(Value::from), fields.prop_map(|fields| fields.into_iter().collect())]
        })
    }

    /// Mostly what the field should hold, now and then anything.
    fn mostly(usual: &'static str) -> impl Strategy<Value = Value> {
        prop_oneof![4 => usual.prop_map(Value::from), 1 => json_value()]
    }

    proptest! {
        #[test]
        fn any_data_is_composed_into_one_paragraph_or_refused(
            amount in mostly("[0-9]{1,12}(\\.[0-9]{1,3})?"),
            currency in mostly("[A-Z]{3}"),
            order in mostly("[ -~]{0,20}"),
            merchant in mostly("\\PC{0,20}"),
        ) {
            let data = json!({ "amount": amount, "currency": currency, "orderCode": order, "merchantName": merchant });
            let mut event = event(&json!({ "type": "PAYMENT_SUCCESS", "merchantId": "mer-1" }));
            event.data = data.as_object().unwrap().clone();
            if let Ok(draft) = compose(&mut event, "evt".into()) {
                let html = crate::render::render(&draft.content).html;
                prop_assert_eq!(html.matches('<').count(), 2, "{}", html);
                prop_assert!(html.starts_with("<p>") && html.ends_with("</p>"), "{}", html);
            }
        }

        #[test]
        fn any_field_of_a_record_is_read_or_refused(name in "[a-zA-Z]{2,14}|userIds|actor|id|occurredAt", value in json_value()) {
            let mut record = json!({ "type": "PAYMENT_SUCCESS", "merchantId": "mer-1", "data": { "amount": "1", "currency": "VND" } });
            record[name] = value;
            if let Ok(mut event) = ActivityEvent::parse(&serde_json::to_vec(&record).unwrap()) {
                let composed = compose(&mut event, "evt".into());
                prop_assert!(composed.is_ok(), "{:?}", composed);
            }
        }
    }

    fn event(value: &Value) -> ActivityEvent {
        ActivityEvent::parse(&serde_json::to_vec(value).unwrap()).unwrap()
    }

    #[test]
    fn keeps_all_that_the_event_said() {
        let mut event = event(&json!({
            "type": "PAYMENT_SUCCESS", "merchantId": "mer-1", "occurredAt": "2026-11-23T15:00:00+07:00",
            "actor": { "id": "user-3", "type": "User" }, "later": { "nested": [1, null] },
            "data": { "amount": "5", "currency": "USD", "tip": "1" }
        }));
        let draft = compose(&mut event, "evt".into()).unwrap();
        assert_eq!((draft.event_id.as_str(), draft.kind.as_str()), ("evt", "PAYMENT_SUCCESS"));
        assert_eq!((draft.organizer_id, draft.merchant_id.as_deref()), (None, Some("mer-1")));
        assert_eq!(
            Value::Object(draft.metadata),
            json!({
                "later": { "nested": [1, null] }, "data": { "amount": "5", "currency": "USD", "tip": "1" },
                "actor": { "id": "user-3", "type": "User" }, "occurredAt": "2026-11-23T08:00:00.000Z"
            })
        );
    }

    #[test]
    fn a_type_that_nobody_composes_is_an_error() {
        let mut event = event(&json!({ "type": "payment_success", "userIds": ["u"] }));
        assert_eq!(compose(&mut event, "evt".into()), Err(ComposeError::UnknownType));
    }
}
