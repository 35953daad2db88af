//! Compares what is held with what must be held. Answers with names of fields, never with their values.

use serde_json::Value;

/// Lists in which the order says nothing.
const UNORDERED: [&str; 2] = ["DinhDanhCHS", "DanhSachLePhi"];

/// Names of the fields in which `held` is not as `expected`; nothing if all agree.
///
/// A field that nothing was expected in may be there if it says nothing.
pub(super) fn fields(expected: &Value, held: &Value) -> Vec<String> {
    let mut names = Vec::new();
    compare("", expected, held, &mut names);
    names
}

/// What became of the progress of one dossier.
pub(super) struct Log {
    /// Fields that differ, and `progress` for every entry that is not there.
    pub(super) different: Vec<String>,
    /// When the entries that are not there were made: `ThoiDiemXuLy` as it must be.
    pub(super) missing: Vec<String>,
    /// Entries that repeat another one.
    pub(super) doubled: usize,
    /// Entries that nothing was expected of.
    pub(super) unexpected: usize,
}

/// Compares two bags of progress entries: order says nothing, number does.
pub(super) fn log(expected: &[Value], held: &[&Value]) -> Log {
    let mut open: Vec<&Value> = expected.iter().collect();
    let mut strange: Vec<&Value> = Vec::new();
    let mut doubled = 0;
    for entry in held {
        if let Some(at) = open.iter().position(|wanted| fields(wanted, entry).is_empty()) {
            open.remove(at);
        } else if expected.iter().any(|wanted| fields(wanted, entry).is_empty()) || strange.contains(entry) {
            doubled += 1;
        } else {
            strange.push(entry);
        }
    }
    // What is left on both sides belongs together if there is a reason to think so: same time, else same note.
    let mut different = Vec::new();
    for same in ["ThoiDiemXuLy", "NoiDungXuLy"] {
        open.retain(|wanted| {
            let Some(at) = strange
                .iter()
                .position(|entry| entry.get(same) == wanted.get(same))
            else {
                return true;
            };
            let names = fields(wanted, strange.remove(at));
            different.extend(names.into_iter().map(|name| format!("progress.{name}")));
            false
        });
    }
    different.extend(open.iter().map(|_| "progress".to_owned()));
    let time = |entry: &&Value| entry["ThoiDiemXuLy"].as_str().unwrap_or_default().to_owned();
    Log {
        different,
        missing: open.iter().map(time).collect(),
        doubled,
        unexpected: strange.len(),
    }
}

fn compare(name: &str, expected: &Value, held: &Value, names: &mut Vec<String>) {
    match (expected, held) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                compare(
                    &below(name, key),
                    value,
                    found.get(key).unwrap_or(&Value::Null),
                    names,
                );
            }
            let beyond = found
                .iter()
                .filter(|(key, value)| !wanted.contains_key(*key) && !says_nothing(value));
            names.extend(beyond.map(|(key, _)| below(name, key)));
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let mut wanted: Vec<&Value> = wanted.iter().collect();
            let mut found: Vec<&Value> = found.iter().collect();
            if UNORDERED.contains(&name) {
                wanted.retain(|value| match found.iter().position(|other| other == value) {
                    Some(at) => {
                        found.remove(at);
                        false
                    }
                    None => true,
                });
            }
            for (value, other) in wanted.into_iter().zip(found) {
                compare(name, value, other, names);
            }
        }
        _ if expected == held => {}
        _ => names.push(name.to_owned()),
    }
}

fn below(name: &str, key: &str) -> String {
    if name.is_empty() {
        key.to_owned()
    } else {
        format!("{name}.{key}")
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fees_may_stand_in_any_order_and_documents_may_not() {
        let one =
            json!({"DanhSachLePhi": [{"Gia": "1"}, {"Gia": "2"}], "TaiLieuNop": [{"Id": "1"}, {"Id": "2"}]});
        let other =
            json!({"DanhSachLePhi": [{"Gia": "2"}, {"Gia": "1"}], "TaiLieuNop": [{"Id": "2"}, {"Id": "1"}]});
        assert_eq!(fields(&one, &other), ["TaiLieuNop.Id", "TaiLieuNop.Id"]);
        let dearer =
            json!({"DanhSachLePhi": [{"Gia": "3"}, {"Gia": "1"}], "TaiLieuNop": [{"Id": "1"}, {"Id": "2"}]});
        assert_eq!(fields(&one, &dearer), ["DanhSachLePhi.Gia"]);
    }

    #[test]
    fn a_field_nobody_asked_for_must_be_empty() {
        let wanted = json!({"a": "1"});
        assert!(fields(&wanted, &json!({"a": "1", "SoBienNhan": ""})).is_empty());
        assert_eq!(
            fields(&wanted, &json!({"a": "1", "SoBienNhan": "7"})),
            ["SoBienNhan"]
        );
    }

    #[test]
    fn numbers_are_not_text() {
        assert_eq!(fields(&json!({"a": 1}), &json!({"a": "1"})), ["a"]);
    }

    #[test]
    fn a_changed_entry_that_is_there_twice_is_changed_once_and_doubled_once() {
        let wanted = json!({"ThoiDiemXuLy": "1", "NguoiXuLy": "A"});
        let changed = json!({"ThoiDiemXuLy": "1", "NguoiXuLy": "B"});
        let log = log(&[wanted], &[&changed, &changed]);
        assert_eq!(
            (log.different, log.doubled, log.unexpected),
            (vec!["progress.NguoiXuLy".to_owned()], 1, 0)
        );
    }
}
