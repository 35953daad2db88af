//! Where files stand in what comes in.

use serde_json::Value;

use super::HASH;

/// Where in a value base64 stands: `.giayTo[].duLieu`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub(super) Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Each,
}

impl Place {
    /// Reads names with a dot before each and `[]` for every member of a list; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for part in text.strip_prefix('.')?.split('.') {
            let (name, each) = match part.split_once("[]") {
                Some((name, "")) => (name, true),
                Some(_) => return None,
                None => (part, false),
            };
            let sound = |letter: char| letter.is_alphanumeric() || letter == '_';
            if !name.chars().all(sound) || (name.is_empty() && !(each && steps.is_empty())) {
                return None;
            }
            if !name.is_empty() {
                steps.push(Step::Key(name.to_owned()));
            }
            steps.extend(each.then_some(Step::Each));
        }
        Some(Self(steps))
    }

    /// Whether a reference stands there in this value.
    #[must_use]
    pub fn has_file(&self, value: &Value) -> bool {
        fn has(steps: &[Step], value: &Value) -> bool {
            match (steps, value) {
                ([], value) => value.get(HASH).is_some(),
                ([Step::Key(key), rest @ ..], value) => value.get(key).is_some_and(|value| has(rest, value)),
                ([Step::Each, rest @ ..], Value::Array(members)) => {
                    members.iter().any(|member| has(rest, member))
                }
                _ => false,
            }
        }
        has(&self.0, value)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, ".{key}"),
            Step::Each => f.write_str("[]"),
        })
    }
}
