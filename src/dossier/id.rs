//! Where a dossier comes from, and the id that follows from it on every node.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::fault::Fault;

/// The system in which a dossier came into being, and its code there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the system's adapter.
    pub system: String,
    /// The dossier's code in that system, as stated.
    pub native: String,
}

impl Origin {
    /// An origin from a system's name and its code for the dossier.
    #[must_use]
    pub fn new(system: &str, native: &str) -> Self {
        Self {
            system: system.to_owned(),
            native: native.to_owned(),
        }
    }

    /// The id that every node computes for this origin.
    #[must_use]
    pub fn id(&self) -> DossierId {
        let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:lienthong:dossier");
        // no system's name holds a line break, so no two origins give the same text
        let name = format!("{}\n{}", self.system, fold_code(&self.native));
        DossierId(Uuid::new_v5(&namespace, name.as_bytes()))
    }
}

/// A native code in the form in which codes are compared: NFC, trimmed, upper case. Codes are stored and sent as
/// stated; only look-ups and ids use this form.
#[must_use]
pub fn fold_code(code: &str) -> String {
    code.trim().nfc().collect::<String>().to_uppercase()
}

/// Longest code in characters. Codes are keys of stores, and whatever is longer is a text that strayed into its place.
pub const LONGEST_CODE: usize = 255;

/// Whether this can be a code; `field` says where it stands.
///
/// # Errors
/// `code-too-long`.
pub(super) fn judge_code(field: &str, code: &str) -> Result<(), Fault> {
    let length = code.chars().count();
    if length <= LONGEST_CODE {
        return Ok(());
    }
    Err(Fault::new("code-too-long")
        .field(field)
        .found(format!("{length} characters"))
        .expected(format!("a code of at most {LONGEST_CODE} characters"))
        .remedy("have the system state the code there, and nothing else"))
}

/// The id of a dossier: a `UUIDv5` of its [`Origin`], the same on every node without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DossierId(pub Uuid);

impl fmt::Display for DossierId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for DossierId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_of_a_native_code_does_not_change_the_id() {
        let plain = Origin::new("one-stop", "Hồ sơ-1");
        let decomposed = Origin::new("one-stop", " hO\u{302}\u{300} SO\u{31b}-1 ");
        assert_eq!(plain.id(), decomposed.id());
        assert_ne!(plain.id(), Origin::new("one-stop", "Hồ sơ-2").id());
        assert_ne!(plain.id(), Origin::new("sectoral", "Hồ sơ-1").id());
    }

    #[test]
    fn the_id_of_a_code_is_fixed_for_ever() {
        let id = Origin::new("one-stop", "H56.14-240823-0001").id();
        assert_eq!(id.to_string(), "25b0724f-5049-5c86-b9bb-7008ace9b6b8");
    }
}
