//! `PAYMENT_SUCCESS`: somebody paid.

use serde_json::{Map, Value};

use super::{
    ComposeError, Message, markdown,
    money::{self, MoneyError},
    text,
};

pub const TYPE: &str = "PAYMENT_SUCCESS";

/// `{amount} from order {orderCode} at {merchantName}`; order and merchant are left out when the event has none.
pub fn compose(data: &Map<String, Value>) -> Result<Message, ComposeError> {
    let amount = match data.get("amount") {
        None | Some(Value::Null) => return Err(ComposeError::Missing("data.amount")),
        Some(Value::String(amount)) => amount,
        // A JSON number has lost its decimals, or has some that nobody wrote.
        Some(_) => return Err(ComposeError::Invalid("data.amount")),
    };
    let currency = match data.get("currency") {
        None | Some(Value::Null) => return Err(ComposeError::Missing("data.currency")),
        Some(Value::String(currency)) => currency,
        Some(_) => return Err(ComposeError::Invalid("data.currency")),
    };
    let mut content = money::format(amount, currency).map_err(|error| match error {
        MoneyError::Amount => ComposeError::Invalid("data.amount"),
        MoneyError::Currency => ComposeError::Invalid("data.currency"),
    })?;
    for (word, name) in [("from order", "orderCode"), ("at", "merchantName")] {
        let shown = text(data, name)?.map(|value| markdown::value(&value)).filter(|value| !value.is_empty());
        if let Some(value) = shown {
            content.push_str(&format!(" {word} {value}"));
        }
    }
    Ok(Message { title: "Payment received".to_owned(), content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::render;
    use proptest::prelude::*;
    use serde_json::json;

    fn content(data: Value) -> Result<String, ComposeError> {
        let Value::Object(data) = data else { unreachable!("tests pass objects") };
        compose(&data).map(|message| message.content)
    }

    #[test]
    fn says_what_was_paid_where() {
        let data = json!({
            "amount": "125000", "currency": "VND", "orderCode": "A-1042", "paymentMethod": "CARD",
            "merchantName": "Cà Phê 79"
        });
        let content = content(data).unwrap();
        assert_eq!(content, "125.000 ₫ from order A-1042 at Cà Phê 79");
        let rendered = render(&content);
        assert_eq!(rendered.plain, "125.000 ₫ from order A-1042 at Cà Phê 79");
        assert_eq!(rendered.html, "<p>125.000 ₫ from order A-1042 at Cà Phê 79</p>");
    }

    #[test]
    fn leaves_out_what_the_event_does_not_say() {
        assert_eq!(content(json!({"amount": "5", "currency": "USD"})).unwrap(), "$5.00");
        assert_eq!(
            content(json!({"amount": "5", "currency": "USD", "orderCode": 1042})).unwrap(),
            "$5.00 from order 1042"
        );
        let blank = json!({"amount": "5", "currency": "USD", "orderCode": " ", "merchantName": "\u{202e}"});
        assert_eq!(content(blank).unwrap(), "$5.00");
    }

    #[test]
    fn refuses_bad_data() {
        for (data, error) in [
            (json!({}), ComposeError::Missing("data.amount")),
            (json!({"amount": "5"}), ComposeError::Missing("data.currency")),
            (json!({"amount": 5, "currency": "USD"}), ComposeError::Invalid("data.amount")),
            (json!({"amount": "five", "currency": "USD"}), ComposeError::Invalid("data.amount")),
            (json!({"amount": "5", "currency": "dollars"}), ComposeError::Invalid("data.currency")),
            (json!({"amount": "5", "currency": 840}), ComposeError::Invalid("data.currency")),
            (json!({"amount": "5", "currency": "USD", "orderCode": {}}), ComposeError::Invalid("orderCode")),
            (json!({"amount": "5", "currency": "USD", "merchantName": ["x"]}), ComposeError::Invalid("merchantName")),
        ] {
            assert_eq!(content(data.clone()), Err(error), "{data}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_an_element(order: String, merchant in "[-*_`<>\\[\\]()!&a-z \n]{0,30}") {
            let data = json!({"amount": "125000", "currency": "VND", "orderCode": order, "merchantName": merchant});
            let html = render(&content(data).unwrap()).html;
            let inner = html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap();
            prop_assert!(!inner.contains('<'), "{}", html);
        }
    }
}
