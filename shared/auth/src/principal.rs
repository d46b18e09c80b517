//! Whom a verified token speaks for.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// The holder of a verified token.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    pub user_id: UserId,
    /// `User` unless the token says otherwise.
    pub principal_type: String,
    pub roles: Vec<Role>,
    /// When the token expires, in Unix seconds; `None` if it never does.
    pub expires_at: Option<i64>,
}

/// A role as the token lists it; `id` is a number or a string there, text here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub id: String,
    pub identifier: String,
    /// Higher outranks lower; 0 if the token has none.
    pub priority: i64,
}

/// A user id, which a token may carry as a JSON string or as a JSON integer.
///
/// It serialises as it came; [`UserId::text`] is what rooms and channels are named by,
/// and what two ids are compared by: the string `"7"` and the number `7` are one user.
#[derive(Clone)]
pub struct UserId {
    text: String,
    number: Option<Number>,
}

impl UserId {
    /// The longest id that fits a room name, in UTF-16 units.
    pub const MAX_UNITS: usize = 200;

    /// `None` for anything but a non-empty string of at most [`Self::MAX_UNITS`] or an integer.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::from_text(text),
            Value::Number(number) => {
                let number = whole(number)?;
                Some(Self { text: number.to_string(), number: Some(number) })
            }
            _ => None,
        }
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.encode_utf16().count() <= Self::MAX_UNITS;
        fits.then(|| Self { text: text.to_owned(), number: None })
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

/// JSON has one number type: `7`, `7.0` and `7e0` are the same user.
fn whole(number: &Number) -> Option<Number> {
    if number.is_i64() || number.is_u64() {
        return Some(number.clone());
    }
    // Past 2^53 neighbouring integers share a double, so two users would share an id.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value = number.as_f64().filter(|v| v.fract() == 0.0 && v.abs() < EXACT)?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number below 2^53")]
    Some(Number::from(value as i64))
}

impl PartialEq for UserId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UserId {}

impl std::hash::Hash for UserId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.number {
            Some(number) => number.serialize(serializer),
            None => serializer.serialize_str(&self.text),
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_serialise_as_they_came_and_are_named_in_decimal() {
        for (came, text, goes) in [
            (json!("user-1"), "user-1", json!("user-1")),
            (json!("007"), "007", json!("007")),
            (json!(7), "7", json!(7)),
            (json!(-3), "-3", json!(-3)),
            (json!(u64::MAX), "18446744073709551615", json!(u64::MAX)),
            (json!(1e3), "1000", json!(1000)),
            (json!(-0.0), "0", json!(0)),
        ] {
            let id = UserId::from_json(&came).unwrap();
            assert_eq!(id.text(), text);
            assert_eq!(serde_json::to_value(&id).unwrap(), goes);
        }
    }

    #[test]
    fn other_json_is_no_id() {
        let long = "x".repeat(UserId::MAX_UNITS + 1);
        for value in [json!(null), json!(true), json!(""), json!(1.5), json!(1e300), json!([1]), json!({}), json!(long)]
        {
            assert!(UserId::from_json(&value).is_none(), "{value}");
        }
    }
}
