//! A JSON value that is passed on as it was sent, byte for byte.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON value on one line, as its sender wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// The value of a JSON text; none if it is no JSON.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A line feed can only stand between two tokens of JSON, where a space says the same.
        RawValue::from_string(text.replace(['\n', '\r'], " ")).ok().map(Self)
    }

    /// A value as JSON; none if it cannot be written.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Option<Self> {
        serde_json::value::to_raw_value(value).ok().map(Self)
    }

    /// Its text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_the_order_of_its_fields_and_stands_on_one_line() {
        let value = RawJson::parse("{\"b\":\n1,\r\n\"a\":2.50}").unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), "{\"b\": 1,  \"a\":2.50}");
        assert_eq!(serde_json::from_str::<RawJson>(value.get()).unwrap(), value);
        assert_eq!(RawJson::parse("{"), None);
    }
}
