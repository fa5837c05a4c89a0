//! JSON values inside stored rows.
//!
//! The store's binary codec is not self-describing, so a `serde_json::Value` cannot pass through: rows store
//! the value's text, and the wire has plain JSON.

use std::ops::{Deref, DerefMut};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Reads an optional field; absent and `null` both mean the type's default. Use with `#[serde(default)]`.
///
/// # Errors
/// The type's own.
pub fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The value as text in one spelling, whatever the order of its members: what hashes are made of. Everywhere else
/// members keep their order, because a model writes in the order of its schema.
#[must_use]
pub fn canonical_text(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// A JSON value for both the wire (as JSON) and the store (as text).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonValue(pub Value);

impl JsonValue {
    /// An empty object, the usual default of inputs and outputs.
    #[must_use]
    pub fn object() -> Self {
        Self(Value::Object(serde_json::Map::new()))
    }
}

impl Deref for JsonValue {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for JsonValue {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl From<Value> for JsonValue {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Serialize for JsonValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0.to_string())
        }
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Value::deserialize(deserializer).map(Self)
        } else {
            serde_json::from_str(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_have_one_spelling_where_it_is_asked_for() {
        let written = r#"{"b":{"z":1,"a":[{"y":2,"x":3}]},"a":null}"#;
        let value: Value = serde_json::from_str(written).unwrap();
        assert_eq!(value.to_string(), written);
        let stored: JsonValue = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), written);
        let other: Value = serde_json::from_str(r#"{"a":null,"b":{"a":[{"x":3,"y":2}],"z":1}}"#).unwrap();
        assert_eq!(value, other, "order is no difference");
        assert_eq!(canonical_text(&value), other.to_string());
        assert_eq!(canonical_text(&value), canonical_text(&other));
    }
}
