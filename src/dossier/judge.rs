//! What a receiver checks of another node's event before it merges it.

use super::id::judge_code;
use super::{Dossier, Ownership, Stamp};
use crate::fault::Fault;

/// Judges the delta of an event whose source is this system, by what the province lets it write. The delta's own
/// origin decides what "origin" means, also after a join.
///
/// # Errors
/// The first violation: `wrong-id` (the id does not follow from the origin), `wrong-source` (a write under another
/// system's name), `code-too-long`, `wrong-entry-id` (an entry under an identity that is not its own), `not-owner`.
pub fn judge_delta(delta: &Dossier, system: &str, owns: &Ownership) -> Result<(), Fault> {
    if delta.id != delta.origin.id() {
        return Err(Fault::new("wrong-id")
            .field("id")
            .expected("the id that follows from the origin"));
    }
    judge_code("origin.native", &delta.origin.native)?;
    for (target, codes) in &delta.links {
        for code in codes.keys() {
            judge_code(&format!("links.{target}"), code)?;
        }
    }
    let is_origin = delta.origin.system == system;
    let owned = |field: &str, name: &str, stamp: &Stamp| {
        if stamp.source != system {
            return Err(Fault::new("wrong-source")
                .field(field)
                .found(format!("source `{}`", stamp.source))
                .expected(format!("source `{system}`")));
        }
        if owns.allows(name, is_origin) {
            Ok(())
        } else {
            Err(not_owner(system, name))
        }
    };
    for (name, written) in &delta.registers {
        owned(name, name, &written.stamp)?;
    }
    for (list, items) in &delta.items {
        for written in items.values() {
            owned(list, list, &written.stamp)?;
        }
    }
    for (log, entries) in &delta.logs {
        for (id, entry) in entries {
            owned(log, log, &entry.stamp)?;
            if entry.system != system {
                return Err(Fault::new("wrong-source")
                    .field(log)
                    .expected(format!("system `{system}`")));
            }
            if *id != entry.identity() {
                return Err(Fault::new("wrong-entry-id")
                    .field(log)
                    .expected("the hash of system, at, value, by and note"));
            }
        }
    }
    for (target, codes) in &delta.links {
        for stamp in codes.values() {
            // its own codes every system may tell
            if target != system || stamp.source != system {
                owned("links", "links", stamp)?;
            }
        }
    }
    Ok(())
}

/// The fault of a write that the system has no right to.
pub(super) fn not_owner(system: &str, name: &str) -> Fault {
    Fault::new("not-owner")
        .field(name)
        .found(format!("a statement of `{system}`"))
        .expected("statements only on what the adapter owns")
        .remedy(format!(
            "leave `{name}` out of the mapping, or add it to `owns` in adapter.toml and, for other nodes, in [province.adapters]"
        ))
}
