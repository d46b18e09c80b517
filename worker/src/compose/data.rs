//! An event's `data`, as event types read it.

use serde_json::{Map, Value};

use super::{
    ComposeError, markdown,
    money::{self, MoneyError},
};

/// All that a composer sees of an event. It gives nothing away as it came: what a reader returns may stand anywhere in
/// a line of markdown and is that text alone, so that no event type can forget to escape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a>(pub(super) &'a Map<String, Value>);

impl Data<'_> {
    /// The amount in the field `amount`, a decimal string in major units, as people of the currency in the field
    /// `currency` write it. Both must be there.
    pub(super) fn money(&self, amount: &'static str, currency: &'static str) -> Result<String, ComposeError> {
        // A JSON number has lost its decimals, or has some that nobody wrote.
        money::format(self.string(amount)?, self.string(currency)?).map_err(|error| match error {
            MoneyError::Amount => ComposeError::Invalid(amount),
            MoneyError::Currency => ComposeError::Invalid(currency),
        })
    }

    /// A text; `None` when there is nothing to be seen in it. Producers with numeric codes may write integers.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ComposeError> {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => markdown::value(text),
            Some(Value::Number(number)) if number.is_u64() || number.is_i64() => markdown::value(&number.to_string()),
            Some(_) => return Err(ComposeError::Invalid(name)),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn string(&self, name: &'static str) -> Result<&str, ComposeError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Err(ComposeError::Missing(name)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(ComposeError::Invalid(name)),
        }
    }
}
