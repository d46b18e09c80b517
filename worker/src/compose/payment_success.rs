//! `PAYMENT_SUCCESS`: somebody paid.

use super::{ComposeError, Message, data::Data};

pub(super) const TYPE: &str = "PAYMENT_SUCCESS";

/// `{amount} from order {orderCode} at {merchantName}`; order and merchant are left out when the event has none.
pub(super) fn compose(data: Data<'_>) -> Result<Message, ComposeError> {
    let mut content = data.money("amount", "currency")?;
    for (word, name) in [("from order", "orderCode"), ("at", "merchantName")] {
        if let Some(value) = data.text(name)? {
            content.push_str(&format!(" {word} {value}"));
        }
    }
    Ok(Message { title: "Payment received", content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::render;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn content(data: &Value) -> Result<String, ComposeError> {
        compose(Data(data.as_object().unwrap())).map(|message| message.content)
    }

    #[test]
    fn says_what_was_paid_where() {
        let data = json!({
            "amount": "125000", "currency": "VND", "orderCode": "A-1042", "paymentMethod": "CARD",
            "merchantName": "Cà Phê 79"
        });
        let content = content(&data).unwrap();
        assert_eq!(content, "125.000 ₫ from order A-1042 at Cà Phê 79");
        let rendered = render(&content);
        assert_eq!(rendered.plain, "125.000 ₫ from order A-1042 at Cà Phê 79");
        assert_eq!(rendered.html, "<p>125.000 ₫ from order A-1042 at Cà Phê 79</p>");
    }

    #[test]
    fn leaves_out_what_the_event_does_not_say() {
        assert_eq!(content(&json!({"amount": "5", "currency": "USD"})).unwrap(), "$5.00");
        assert_eq!(
            content(&json!({"amount": "5", "currency": "USD", "orderCode": 1042})).unwrap(),
            "$5.00 from order 1042"
        );
        let blank = json!({"amount": "5", "currency": "USD", "orderCode": " ", "merchantName": "\u{202e}"});
        assert_eq!(content(&blank).unwrap(), "$5.00");
    }

    #[test]
    fn refuses_bad_data() {
        for (data, error) in [
            (json!({}), ComposeError::Missing("amount")),
            (json!({"amount": "5"}), ComposeError::Missing("currency")),
            (json!({"amount": 5, "currency": "USD"}), ComposeError::Invalid("amount")),
            (json!({"amount": "five", "currency": "USD"}), ComposeError::Invalid("amount")),
            (json!({"amount": "5", "currency": "dollars"}), ComposeError::Invalid("currency")),
            (json!({"amount": "5", "currency": 840}), ComposeError::Invalid("currency")),
            (json!({"amount": "5", "currency": "USD", "orderCode": {}}), ComposeError::Invalid("orderCode")),
            (json!({"amount": "5", "currency": "USD", "merchantName": ["x"]}), ComposeError::Invalid("merchantName")),
        ] {
            assert_eq!(content(&data), Err(error), "{data}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_an_element(order: String, merchant in "[-*_`<>\\[\\]()!&a-z \n]{0,30}") {
            let data = json!({"amount": "125000", "currency": "VND", "orderCode": order, "merchantName": merchant});
            let html = render(&content(&data).unwrap()).html;
            let inner = html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap();
            prop_assert!(!inner.contains('<'), "{}", html);
        }
    }
}
