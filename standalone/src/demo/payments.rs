//! "Take a payment": a record on the activity topic, as a till's service would produce it.

use std::{fmt, time::Duration};

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
};
use http::StatusCode;
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Map, Value, json};
use signal_service::rest::{Cause, RestError};
use time::OffsetDateTime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Shared, object};
use crate::embedded::people;

/// How long a broker may take before the page is told that it is away.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where payments go.
pub struct Payments {
    producer: FutureProducer,
    topic: String,
    stop: CancellationToken,
    in_flight: TaskTracker,
}

impl Payments {
    /// None is taken any more once `stop` is cancelled; `in_flight` counts those whose answer is not known yet.
    ///
    /// # Errors
    /// If librdkafka refuses a property.
    pub fn new(
        mut config: ClientConfig,
        topic: String,
        stop: CancellationToken,
        in_flight: TaskTracker,
    ) -> Result<Self, KafkaError> {
        config.set("message.timeout.ms", DELIVERY_TIMEOUT.as_millis().to_string());
        // One payment at a time: waiting for more to come would only delay it.
        config.set("linger.ms", "0");
        Ok(Self { producer: config.create()?, topic, stop, in_flight })
    }

    async fn produce(&self, key: &str, event: &Value) -> Result<(), KafkaError> {
        let payload = event.to_string();
        let record = FutureRecord::to(&self.topic).key(key).payload(&payload);
        self.producer.send(record, DELIVERY_TIMEOUT).await.map(drop).map_err(|(error, _)| error)
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payments").field("topic", &self.topic).finish_non_exhaustive()
    }
}

pub(super) async fn take(
    State(demo): Shared,
    body: Result<Json<Value>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), RestError> {
    let body = object(body)?;
    let (merchant_id, event) =
        event(&body, Uuid::new_v4(), OffsetDateTime::now_utc()).map_err(|causes| RestError::validation(&causes))?;
    // Counted before the stop is looked at: whoever waits for the last one after it misses none.
    let _counted = demo.payments.in_flight.token();
    if demo.payments.stop.is_cancelled() {
        return Err(RestError::unavailable("Signal is stopping and takes no payment any more"));
    }
    demo.payments.produce(&merchant_id, &event).await.map_err(|error| {
        tracing::warn!(%error, "a payment cannot be produced");
        RestError::unavailable("The broker does not take the payment; see SIGNAL_KAFKA_BROKERS")
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "eventId": event["id"] }))))
}

/// The record's key and value, or everything that is wrong with the request.
fn event(body: &Value, id: Uuid, now: OffsetDateTime) -> Result<(String, Value), Vec<Cause>> {
    let mut form = Form { body, causes: Vec::new() };
    let merchant_id = form.text("merchantId", 1..=128);
    let amount = form.checked("amount", "must be a positive decimal such as \"125000\" or \"12.50\"", is_amount);
    let currency = form.checked("currency", "must be an ISO 4217 code such as VND", is_currency);
    let order_code = form.text("orderCode", 1..=64);
    let payment_method = form.optional("paymentMethod", 1..=32);
    let actor_id = form.optional("actorId", 1..=128);
    if !form.causes.is_empty() {
        return Err(form.causes);
    }

    let mut data = Map::new();
    data.insert("amount".to_owned(), json!(amount));
    data.insert("currency".to_owned(), json!(currency));
    data.insert("orderCode".to_owned(), json!(order_code));
    if let Some(method) = payment_method {
        data.insert("paymentMethod".to_owned(), json!(method));
    }
    if let Some(merchant) = people::merchant(&merchant_id) {
        data.insert("merchantName".to_owned(), json!(merchant.name));
    }
    let mut event = json!({
        "id": format!("evt_{}", id.simple()),
        "type": "PAYMENT_SUCCESS",
        "occurredAt": signal_wire::timestamp::format(now),
        "merchantId": merchant_id,
        "data": data,
    });
    if let Some(actor) = actor_id {
        // Whoever took the payment knows of it already.
        event["excludeUserIds"] = json!([actor]);
        event["actor"] = json!({ "id": actor, "type": "User" });
    }
    Ok((merchant_id, event))
}

struct Form<'a> {
    body: &'a Value,
    causes: Vec<Cause>,
}

impl Form<'_> {
    fn text(&mut self, name: &str, length: std::ops::RangeInclusive<usize>) -> String {
        let (least, most) = (length.start(), length.end());
        let message = format!("must be text of {least} to {most} characters, none of them a control character");
        self.checked(name, &message, |text| {
            length.contains(&text.chars().count()) && !text.trim().is_empty() && !text.chars().any(char::is_control)
        })
    }

    /// `null` counts as absent, and so does what an empty field of a form sends.
    fn optional(&mut self, name: &str, length: std::ops::RangeInclusive<usize>) -> Option<String> {
        let given = self.body.get(name).is_some_and(|value| !value.is_null() && value != "");
        given.then(|| self.text(name, length))
    }

    fn checked(&mut self, name: &str, message: &str, is_valid: impl Fn(&str) -> bool) -> String {
        let code = match self.body.get(name) {
            None | Some(Value::Null) => "required",
            Some(Value::String(text)) if is_valid(text) => return text.clone(),
            Some(Value::String(_)) => "invalid_value",
            Some(_) => "invalid_type",
        };
        self.causes.push(Cause { path: name.to_owned(), message: message.to_owned(), code });
        String::new()
    }
}

fn is_amount(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, most| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole, 15) && digits(fraction, 4) && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Value {
        json!({ "merchantId": "mer-cafe-79", "amount": "125000", "currency": "VND", "orderCode": "A-1042" })
    }

    fn made(body: &Value) -> Result<(String, Value), Vec<Cause>> {
        let now = OffsetDateTime::from_unix_timestamp_nanos(1_795_423_864_867_000_000).unwrap();
        event(body, Uuid::nil(), now)
    }

    #[test]
    fn an_event_has_the_shape_that_the_topic_carries() {
        let mut body = body();
        body["paymentMethod"] = json!("CARD");
        body["actorId"] = json!("user-minh");
        let (key, event) = made(&body).unwrap();
        assert_eq!(key, "mer-cafe-79");
        assert_eq!(
            event,
            json!({
                "id": "evt_00000000000000000000000000000000",
                "type": "PAYMENT_SUCCESS",
                "occurredAt": "2026-11-23T08:51:04.867Z",
                "merchantId": "mer-cafe-79",
                "excludeUserIds": ["user-minh"],
                "actor": { "id": "user-minh", "type": "User" },
                "data": {
                    "amount": "125000", "currency": "VND", "orderCode": "A-1042",
                    "paymentMethod": "CARD", "merchantName": "Cà Phê 79",
                },
            })
        );
    }

    #[test]
    fn what_is_optional_may_be_left_out() {
        let mut body = body();
        body["merchantId"] = json!("mer-elsewhere");
        body["paymentMethod"] = json!("");
        body["actorId"] = json!(null);
        let (_, event) = made(&body).unwrap();
        assert_eq!(event["data"], json!({ "amount": "125000", "currency": "VND", "orderCode": "A-1042" }));
        assert!(event.get("actor").is_none() && event.get("excludeUserIds").is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let causes =
            made(&json!({ "amount": 125_000, "currency": "dong", "orderCode": " ", "actorId": {} })).unwrap_err();
        let found: Vec<_> = causes.iter().map(|cause| (cause.path.as_str(), cause.code)).collect();
        let expected = [
            ("merchantId", "required"),
            ("amount", "invalid_type"),
            ("currency", "invalid_value"),
            ("orderCode", "invalid_value"),
            ("actorId", "invalid_type"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn control_characters_are_in_no_text() {
        for field in ["merchantId", "orderCode", "paymentMethod", "actorId"] {
            for text in ["a\0b", "a\nb", "\u{7f}x", "x\u{85}"] {
                let mut body = body();
                body[field] = json!(text);
                let causes = made(&body).unwrap_err();
                assert_eq!((causes[0].path.as_str(), causes[0].code), (field, "invalid_value"), "{text:?}");
                assert!(causes[0].message.contains("control character"), "{}", causes[0].message);
            }
        }
    }

    #[test]
    fn amounts_are_positive_decimals() {
        for amount in ["1", "125000", "0.5", "12.50", "999999999999999.9999"] {
            assert!(is_amount(amount), "{amount}");
        }
        for amount in ["", "0", "0.00", "-1", "+1", "1,5", "1.", ".5", "1e3", "1.23456", "1000000000000000", "١", "NaN"]
        {
            assert!(!is_amount(amount), "{amount}");
        }
    }
}
