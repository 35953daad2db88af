//! Whether two records that bear one code, or what may be one, speak of one dossier: a code alone does not decide.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Dossier, Patch};

/// Kinds of numbers by which a person or an organisation is known.
const NUMBERS: [&str; 4] = ["citizen_id", "old_id", "tax_code", "passport"];

/// A text as people compare it: no accents, no case, single blanks; `đ` is `d`.
#[must_use]
pub fn fold_text(text: &str) -> String {
    let plain = text.nfd().filter(|c| !is_combining_mark(*c));
    let lower: String = plain
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'đ' { 'd' } else { c })
        .collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether two applicants are one: a number that both have must be equal, and one such number suffices; without any,
/// the names must be equal and the dates of birth not differ. Where either is unknown they are not.
#[must_use]
pub fn same_person(one: &Value, other: &Value) -> bool {
    let text = |person: &'_ Value, field: &str| person.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut equal = false;
    for number in NUMBERS {
        match (text(one, number), text(other, number)) {
            (Some(one), Some(other)) if one.trim() == other.trim() => equal = true,
            (Some(_), Some(_)) => return false,
            _ => {}
        }
    }
    if equal {
        return true;
    }
    let name = |person| {
        text(person, "name")
            .map(|name| fold_text(&name))
            .filter(|name| !name.is_empty())
    };
    let (Some(name_one), Some(name_other)) = (name(one), name(other)) else {
        return false;
    };
    let born = (text(one, "birth_date"), text(other, "birth_date"));
    name_one == name_other && !matches!(born, (Some(one), Some(other)) if one != other)
}

impl Dossier {
    /// Whether what this record says of procedure and applicant is what this dossier holds: the two facts, beside a code,
    /// without which nothing is taken for the same.
    #[must_use]
    pub fn agrees_with(&self, patch: &Patch) -> bool {
        let procedure = patch.procedure_code();
        procedure.is_some()
            && procedure == self.procedure_code()
            && self.is_for(patch.register("applicant.person"))
    }

    /// The same between two dossiers.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let procedure = self.procedure_code();
        procedure.is_some()
            && procedure == other.procedure_code()
            && self.is_for(other.register("applicant.person"))
    }

    fn is_for(&self, person: Option<&Value>) -> bool {
        matches!((self.register("applicant.person"), person), (Some(mine), Some(person)) if same_person(mine, person))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_decides_before_a_name_and_a_name_needs_no_other_birth_date() {
        let an = json!({"name": "Lê Văn Đỗ", "citizen_id": "038000000001", "birth_date": "1990-01-02"});
        for (what, other, same) in [
            (
                "same number, other name",
                json!({"name": "Lê Thị Ô", "citizen_id": "038000000001"}),
                true,
            ),
            (
                "other number, same name",
                json!({"name": "Lê Văn Đỗ", "citizen_id": "038000000002"}),
                false,
            ),
            (
                "other kind of number, same name",
                json!({"name": "LE VAN DO", "old_id": "171000001"}),
                true,
            ),
            (
                "same name decomposed",
                json!({"name": "Le\u{302} Va\u{306}n \u{110}o\u{302}\u{303}"}),
                true,
            ),
            (
                "same name, other birth",
                json!({"name": "lê văn đỗ", "birth_date": "1991-01-02"}),
                false,
            ),
            ("no name", json!({"birth_date": "1990-01-02"}), false),
        ] {
            assert_eq!(same_person(&an, &other), same, "{what}");
            assert_eq!(same_person(&other, &an), same, "{what}, turned round");
        }
    }
}
