//! Which dossiers: patterns of codes, or the canonical column of a code table.

use serde_json::Value as Json;

use super::workshop::Workshop;
use crate::read::{Keys, Table, Value};

/// Codes with `*` for any text. An empty selection holds for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    patterns: Vec<String>,
}

impl Selection {
    /// A list of patterns, or the name of a table.
    pub(super) fn read(value: &Value<'_>, workshop: &Workshop<'_>) -> Option<Self> {
        if !value.is_text() {
            return Self::read_patterns(value);
        }
        let name = value.text()?;
        if let Some(codes) = workshop.canonical_codes(name) {
            return Some(Self { patterns: codes });
        }
        let fault = value.fault("table-missing").found(format!("{name:?}"));
        value.report(
            fault
                .expected("a list of codes, or the name of a code table")
                .remedy(format!(
                    "add tables/{name}.csv, or write [{name:?}] for a single code"
                )),
        );
        None
    }

    fn read_patterns(value: &Value<'_>) -> Option<Self> {
        let mut patterns = Vec::new();
        for member in value.list()? {
            let pattern = member.text()?;
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
            if pattern.is_empty() || !pattern.chars().all(allowed) {
                let fault = member.fault("bad-selection").found(format!("{pattern:?}"));
                member.report(
                    fault
                        .expected("a code: letters, digits, `.`, `-`, `_`, and `*` for any text")
                        .remedy("write the code as it stands in the canonical dossier, as in \"2.000488\" or \"2.*\""),
                );
            }
            patterns.push(pattern.to_owned());
        }
        Some(Self { patterns })
    }

    /// Is this code selected?
    #[must_use]
    pub fn holds(&self, code: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, code))
    }

    /// The patterns, each of which selects.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Does it select nothing at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

/// `*` stands for any text, also none.
fn matches(pattern: &str, code: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == code;
    };
    let Some(mut rest) = code.strip_prefix(head) else {
        return false;
    };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    true
}

/// Which dossiers an adapter takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription {
    procedures: Option<Selection>,
    sectors: Option<Selection>,
    levels: Option<Selection>,
}

impl Subscription {
    pub(super) const KEYS: Keys = &["procedures", "sectors", "levels"];

    pub(super) fn read(table: &Table<'_>, workshop: &Workshop<'_>) -> Self {
        let part = |key| table.get(key).and_then(|value| Selection::read(&value, workshop));
        if !Self::KEYS.iter().any(|key| table.has(key)) {
            table.report(
                table
                    .fault("bad-selection")
                    .found("nothing")
                    .expected("procedures, sectors or levels")
                    .remedy("write { procedures = [\"*\"] } for every dossier"),
            );
        }
        Self {
            procedures: part("procedures"),
            sectors: part("sectors"),
            levels: part("levels"),
        }
    }

    /// Which procedures, if it says so.
    #[must_use]
    pub fn procedures(&self) -> Option<&Selection> {
        self.procedures.as_ref()
    }

    /// Which sectors, if it says so.
    #[must_use]
    pub fn sectors(&self) -> Option<&Selection> {
        self.sectors.as_ref()
    }

    /// Does it hold for this dossier, in the form that mappings see? What is not stated selects nothing that does not
    /// know the value: a dossier whose procedure is unknown matches no list of procedures, not even `*`.
    #[must_use]
    pub fn holds(&self, dossier: &Json) -> bool {
        let holds = |selection: &Option<Selection>, pointer: &str| match selection {
            None => true,
            Some(selection) => dossier
                .pointer(pointer)
                .and_then(Json::as_str)
                .is_some_and(|code| selection.holds(code)),
        };
        holds(&self.procedures, "/procedure/code")
            && holds(&self.sectors, "/procedure/sector/code")
            && holds(&self.levels, "/procedure/level")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_star_stands_for_any_text() {
        let rows = [
            ("2.000488", "2.000488", true),
            ("2.000488", "2.0004880", false),
            ("*", "2.000488", true),
            ("*", "", true),
            ("2.*", "2.000488", true),
            ("2.*", "1.000488", false),
            ("*.000488", "2.000488", true),
            ("2.*88", "2.000488", true),
            ("2.*89", "2.000488", false),
            ("2*0*8", "2.000488", true),
            ("2*1*8", "2.000488", false),
            ("a*a", "a", false),
        ];
        for (pattern, code, expected) in rows {
            assert_eq!(matches(pattern, code), expected, "{pattern} {code}");
        }
    }

    #[test]
    fn a_subscription_holds_where_each_of_its_parts_does() {
        let only = |patterns: &[&str]| {
            Some(Selection {
                patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            })
        };
        let dossier =
            json!({"procedure": {"code": "2.000488", "sector": {"code": "TP"}, "level": "province"}});
        let any = Subscription {
            procedures: only(&["*"]),
            ..Subscription::default()
        };
        assert!(any.holds(&dossier));
        assert!(
            !any.holds(&json!({"procedure": null})),
            "an unknown procedure matches nothing"
        );
        let both = Subscription {
            levels: only(&["commune"]),
            ..any
        };
        assert!(!both.holds(&dossier));
        assert!(
            Subscription {
                levels: only(&["commune", "province"]),
                ..both
            }
            .holds(&dossier)
        );
    }
}
