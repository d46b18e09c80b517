//! What an event says to people: one file per event type, found in one registry.
//!
//! A composer writes markdown. Whatever it takes from the event is escaped by [`markdown::value`], so that nobody's name
//! becomes markup, a link or a second line. How a type is added is in `docs/event-types.md`.

mod data;
pub mod markdown;
pub mod money;
mod payment_success;

use std::fmt::{self, Write};

use serde_json::{Map, Value, json};
use signal_wire::{activity::ActivityEvent, timestamp};

use self::data::Data;
use crate::store::Draft;

/// A title, which is the type's alone, and a content in markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    title: &'static str,
    content: String,
}

/// Why nothing can be said of an event. The texts name the type and fields, never a field's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("no event type `{0}` is known here")]
    UnknownType(TypeName),
    #[error("data.{0} is missing")]
    Missing(&'static str),
    #[error("data.{0} is not valid")]
    Invalid(&'static str),
}

impl ComposeError {
    /// The label under which it is counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::UnknownType(_) => "unknown_type",
            Self::Missing(_) => "missing_data",
            Self::Invalid(_) => "invalid_data",
        }
    }
}

/// A type as somebody else wrote it, fit for logs and headers: of bounded length, on one line, and without characters
/// that can't be seen or reorder what stands around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName(String);

impl TypeName {
    const MAX_CHARS: usize = 64;
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(Self::MAX_CHARS) {
            match c {
                '`' => f.write_str("\\u{60}")?,
                '\'' | '"' => f.write_char(c)?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        if chars.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

type Composer = fn(Data<'_>) -> Result<Message, ComposeError>;

/// Every event type that is known here.
const REGISTRY: &[(&str, Composer)] = &[(payment_success::TYPE, payment_success::compose)];

/// Composes the draft of an event; `id` is its idempotency key. Takes what the event says and leaves whom it is for.
pub fn compose(event: &mut ActivityEvent, id: String) -> Result<Draft, ComposeError> {
    let (_, composer) = REGISTRY
        .iter()
        .find(|(kind, _)| *kind == event.kind)
        .ok_or_else(|| ComposeError::UnknownType(TypeName(event.kind.clone())))?;
    let Message { title, content } = composer(Data(&event.data))?;
    Ok(Draft {
        event_id: id,
        kind: event.kind.clone(),
        organizer_id: event.organizer_id.clone(),
        merchant_id: event.merchant_id.clone(),
        title: title.to_owned(),
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

    fn refusal(kind: &str) -> ComposeError {
        compose(&mut event(&json!({ "type": kind, "userIds": ["u"] })), "evt".into()).unwrap_err()
    }

    #[test]
    fn a_type_that_nobody_composes_is_an_error_that_names_it() {
        for (kind, said) in [
            ("payment_success", "no event type `payment_success` is known here"),
            ("ORDER.PAID/v2 'é'", "no event type `ORDER.PAID/v2 'é'` is known here"),
            ("A\r\nlevel=\u{1b}[31m`\u{202e}", r"no event type `A\r\nlevel=\u{1b}[31m\u{60}\u{202e}` is known here"),
        ] {
            let error = refusal(kind);
            assert_eq!((error.label(), error.to_string().as_str()), ("unknown_type", said));
        }
    }

    proptest! {
        #[test]
        fn what_is_said_of_an_unknown_type_is_bounded_and_on_one_line(kind in "\\PC{1,64}|[\0-\u{2fff}]{1,64}|é{128}|x{256}") {
            let said = TypeName(kind).to_string();
            prop_assert!(said.len() <= TypeName::MAX_CHARS * "\\u{10ffff}".len() + '…'.len_utf8(), "{}", said);
            prop_assert!(!said.chars().any(|c| c.is_control() || c == '`'), "{}", said);
        }
    }

    #[test]
    fn every_type_is_there_once_can_arrive_and_is_in_the_document() {
        let document = include_str!("../../docs/event-types.md");
        for (at, (kind, _)) in REGISTRY.iter().enumerate() {
            assert!(REGISTRY[..at].iter().all(|(earlier, _)| earlier != kind), "{kind} is there twice");
            assert_eq!(event(&json!({ "type": kind, "userIds": ["u"] })).kind, *kind);
            assert!(document.contains(&format!("| `{kind}` |")), "{kind} is not in docs/event-types.md");
        }
    }
}
