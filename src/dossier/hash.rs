//! Hashes of JSON values that do not depend on how a value was written down.

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// Hash of a value: the first 128 bits of the SHA-256 of its [canonical text](canonical), in hex.
#[must_use]
pub fn content(value: &Value) -> String {
    short(Sha256::new().chain_update(canonical(value)))
}

/// Hash of several texts, each kept apart from its neighbours.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part);
    }
    short(hasher)
}

fn short(hasher: Sha256) -> String {
    let digest = hasher.finalize();
    hex::encode(digest.first_chunk::<16>().expect("SHA-256 has 32 bytes"))
}

/// The value as JSON text with sorted keys, no white space, and whole numbers without a fraction (`1.0` is `1`, which
/// is what a mapping language may make of it).
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (index, value) in list.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(value, text);
            }
            text.push(']');
        }
        Value::Number(number) => text.push_str(&plain(number)),
        other => text.push_str(&other.to_string()),
    }
}

fn plain(number: &Number) -> String {
    let text = number.to_string();
    if number.is_f64()
        && let Some(whole) = text.strip_suffix(".0")
        && whole != "-0"
    {
        return whole.to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_of_keys_and_form_of_whole_numbers_do_not_count() {
        let one: Value = serde_json::from_str(r#"{"b": 1.0, "a": [true, null, "x"]}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a":[true,null,"x"],"b":1}"#).unwrap();
        assert_eq!(canonical(&one), r#"{"a":[true,null,"x"],"b":1}"#);
        assert_eq!(content(&one), content(&two));
        assert_ne!(content(&json!({"a": null})), content(&json!({})));
        assert_ne!(content(&json!(["a", "b"])), content(&json!(["b", "a"])));
    }

    #[test]
    fn neighbouring_texts_do_not_run_together() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
