//! What differs between two JSON values, told by pointers. Samples hold invented people only, so short values are shown.

use serde_json::Value as Json;

/// Differences that are told; of more, only the number.
const TOLD: usize = 5;

/// The first differences; `None` if there are none. Numbers are compared by value: `1` and `1.0` are the same.
pub(super) fn differences(expected: &Json, found: &Json) -> Option<String> {
    let mut all = Vec::new();
    compare("", expected, found, &mut all);
    if all.is_empty() {
        return None;
    }
    let more = all.len().saturating_sub(TOLD);
    all.truncate(TOLD);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    Some(all.join(", "))
}

fn compare(path: &str, expected: &Json, found: &Json, all: &mut Vec<String>) {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            for (key, value) in expected {
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                match found.get(key) {
                    Some(other) => compare(&path, value, other, all),
                    None => all.push(format!("{path} is missing")),
                }
            }
            for key in found.keys().filter(|key| !expected.contains_key(*key)) {
                all.push(format!(
                    "{path}/{} is too many",
                    key.replace('~', "~0").replace('/', "~1")
                ));
            }
        }
        (Json::Array(expected), Json::Array(found)) => {
            for (index, (value, other)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}/{index}"), value, other, all);
            }
            if expected.len() != found.len() {
                let path = if path.is_empty() { "/" } else { path };
                all.push(format!(
                    "{path} has {} members and not {}",
                    found.len(),
                    expected.len()
                ));
            }
        }
        (Json::Number(expected), Json::Number(found)) if expected.as_f64() == found.as_f64() => {}
        (expected, found) if expected == found => {}
        (expected, found) => {
            let path = if path.is_empty() { "/" } else { path };
            all.push(format!("{path} is {} and not {}", short(found), short(expected)));
        }
    }
}

fn short(value: &Json) -> String {
    match value {
        Json::Object(_) => "an object".to_owned(),
        Json::Array(_) => "a list".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 60 {
                format!("{}…", text.chars().take(60).collect::<String>())
            } else {
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_by_pointers() {
        let expected = json!({"a": 1, "b": [1, 2], "c/d": "x", "e": null, "f": {"g": true}});
        assert_eq!(differences(&expected, &expected.clone()), None);
        let found = json!({"a": 1.0, "b": [1, 3, 4], "c/d": "y", "f": {"g": true, "h": 0}});
        assert_eq!(
            differences(&expected, &found).unwrap(),
            "/b/1 is 3 and not 2, /b has 3 members and not 2, /c~1d is \"y\" and not \"x\", /e is missing, \
             /f/h is too many"
        );
        assert_eq!(
            differences(&json!({"a": 1}), &json!([])).unwrap(),
            "/ is a list and not an object"
        );
    }

    #[test]
    fn of_many_differences_the_first_are_told() {
        let expected: Json = (0..9).map(|n| json!(n)).collect();
        let found: Json = (1..10).map(|n| json!(n)).collect();
        assert!(
            differences(&expected, &found)
                .unwrap()
                .ends_with("/4 is 5 and not 4, and 4 more")
        );
    }
}
