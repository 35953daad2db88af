//! The canonical dossier: what all systems say about one application, and how their statements become one.
//!
//! Pure: no input or output, no clock, nothing asynchronous. What enters is a [`Patch`] (what one native record says,
//! made by an adapter's mapping); an [`Author`] compares it with the system's [`Shadow`] and makes a delta: a partial
//! [`Dossier`] that holds only what is new, each write under its [`Stamp`]. Deltas travel as events. Every node merges
//! them into its replica; mappings read the replica as [`Dossier::view`].
//!
//! The laws, each a property test in `laws.rs`:
//!
//! - Merging is commutative, associative and idempotent. Any order, duplication or split of the same deltas gives the
//!   same dossier, links included. Names that this version does not know are kept and merged like others.
//! - Two systems that write different registers lose nothing.
//! - One system's records, in any order of arrival, end at its natively newest one, however its clock runs.
//! - What one system's states come to depends on their native times and not on the order of arrival: it is the natively
//!   newest one if each step to it was reported. If a step was not, a later one may not be legal without it; then it
//!   waits for the missing one. The law speaks of reports with different native times: of several of the same time (of
//!   one day, where only the day is stated) the later arrival counts as the newer one, and the same report again is
//!   none. And it speaks of runs, of the same state again and again, that have at most `state::KEPT` reports between
//!   their ends: of the rest no memory is kept.
//! - Who writes after having been given a value beats that value, however slow the clock or coarse the dates.
//! - The current status is a function of the set of entries. An entry that is not legal where it stands stays and moves
//!   nothing; a late earlier entry can make it legal. A final status is not reopened by a stray entry.
//! - A stamp is made once. Nothing here depends on when or where it is computed.

mod agree;
mod author;
mod code;
pub mod hash;
mod held;
pub mod history;
mod id;
mod item;
mod judge;
mod link;
mod log;
mod merge;
mod moment;
mod news;
mod ownership;
mod patch;
pub mod schema;
mod shadow;
mod stamp;
mod state;
pub mod status;
mod view;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

pub use agree::{fold_text, same_person};
pub use author::Author;
pub use code::{AgencyCode, DossierCode, ProcedureCode};
pub use id::{DossierId, LONGEST_CODE, Origin, fold_code};
pub use judge::judge_delta;
pub use log::Entry;
pub use merge::{Dossier, Written};
pub use moment::{BadMoment, Moment};
pub use ownership::{Ownership, Right};
pub use patch::{Patch, Reference};
pub use shadow::Shadow;
pub use stamp::{BadHlc, Hlc, Stamp};
pub use status::{Fold, Status};

/// The four lists of items, each a map by a stated identity.
pub const ITEMS: [&str; 4] = ["components", "fees", "supplements", "results"];

/// The two logs, each a set of entries that only grows.
pub const LOGS: [&str; 2] = ["status", "progress"];

/// Registers that a record states whole.
pub const REGISTERS: [&str; 14] = [
    "procedure",
    "agency",
    "channel",
    "summary",
    "handling",
    "return_mode",
    "place_of_submission",
    "payment",
    "area",
    "note",
    "identity",
    "applicant.person",
    "applicant.contact",
    "applicant.representative",
];

/// Sections whose every field is a register of its own: `schedule.due`, `form.purpose`.
pub const SECTIONS: [&str; 2] = ["schedule", "form"];
