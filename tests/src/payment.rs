//! A record as the payment service produces it.

use serde_json::{Value, json};

/// A payment record; `scope` says for whom, and may set any other field.
pub fn payment(id: &str, scope: &Value) -> Value {
    let mut event = json!({
        "id": id, "type": "PAYMENT_SUCCESS", "occurredAt": "2026-11-23T08:00:00.000Z",
        "data": { "amount": "125000", "currency": "VND", "orderCode": "A-1042",
                  "paymentMethod": "CARD", "merchantName": "Cà Phê 79" },
    });
    for (name, value) in scope.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event
}
