//! To and from the JSON of the other rooms.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Number, Value};

use super::super::meter;
use super::{Object, Text, Val};

impl From<&Value> for Val {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => number
                .as_i64()
                .map_or_else(|| number.as_f64().map_or(Self::Null, Self::from), Self::Int),
            Value::String(text) => Self::Text(Text::from(text.as_str())),
            Value::Array(items) => items.iter().map(Self::from).collect(),
            Value::Object(entries) => {
                let mut object = Object::default();
                for (key, value) in entries {
                    object.insert(Text::from(key.as_str()), Self::from(value));
                }
                Self::object(object)
            }
        }
    }
}

impl From<&Val> for Value {
    fn from(value: &Val) -> Self {
        match value {
            Val::Null => Self::Null,
            Val::Bool(truth) => Self::Bool(*truth),
            Val::Int(number) => Self::Number((*number).into()),
            Val::Float(number) => Number::from_f64(*number).map_or(Self::Null, Self::Number),
            Val::Text(text) => Self::String(text.to_string()),
            Val::List(list) => Self::Array(list.items.iter().map(Self::from).collect()),
            Val::Object(object) => {
                let entries = object.entries.iter();
                Self::Object(
                    entries
                        .map(|(key, value)| (key.to_string(), Self::from(value)))
                        .collect(),
                )
            }
        }
    }
}

impl Serialize for Val {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => {
                let mut written = serializer.serialize_seq(Some(list.items.len()))?;
                for item in &list.items {
                    written.serialize_element(item)?;
                }
                written.end()
            }
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.entries.len()))?;
                for (key, value) in &object.entries {
                    map.serialize_entry(&**key, value)?;
                }
                map.end()
            }
        }
    }
}

impl Val {
    /// Its JSON text, without spaces.
    pub(in super::super) fn to_json(&self) -> String {
        // Charged by weight before it is written; escapes are the reason for more than that.
        meter::charge(usize::try_from(self.size().weight).unwrap_or(usize::MAX));
        serde_json::to_string(self).expect("text keys and finite numbers can always be written")
    }
}
