//! The one language of the adapters: jq, in a box.
//!
//! In: a folder (of an adapter, or of its sandbox) with `NAME.jq` files and `tables/*.csv`, and the expressions of a
//! manifest with the variables that exist at their place. Out: compiled [`Filter`]s and [`Text`]s, which turn one JSON
//! value into others. The room knows nothing of adapters, keeps no state and does no I/O after a folder is opened, so
//! there is nothing to repair if it dies in the middle.
//!
//! **What is seen.** `lib.jq` (definitions only) ← `NAME.jq` (each a filter of that name) ← expressions. A filter and a
//! definition see the variables of the expression that uses them; what it does not use is not compiled, so a
//! definition with `$token` does not disturb a mapping that has none. Everything that is wrong is told at once, with
//! file and line.
//!
//! **What is promised.** The output depends on input, variables and tables only: functions are an allow-list
//! (`allowed.rs`) plus our natives (`native/`, `prelude.jq`). Every run is bounded in steps, memory, size and stack
//! ([`Bounds`]), whatever the mapping does; no `try` swallows such a stop, nor [`ignore`](Error::Ignored). An error's
//! text never holds a value: the engine's messages are built from kinds (`a text`), texts raised by `error("…")` are
//! withheld. A mapping says what it wants said by `error({code, field, found, expected, remedy})`, which becomes that
//! [`Fault`]; it answers for the parts being free of personal values. The faults of natives can be caught by
//! `try … catch`, where they are such objects.
//!
//! **How it differs from jq.** Null cannot be sliced (use `cut`); keys are texts; deleting keeps the order of keys; a
//! fraction-free number is an integer (`200000 / 2` is `100000`, `1.0` is `1`), one beyond 64 bits a float; what is not
//! a number (`-1 | sqrt`) is null. What depends on clock, zone, environment or other inputs does not exist.
//!
//! **What is left.** Bounds count what the engine does on our values. A single call of a regular expression and a
//! single sort are estimated beforehand, not interrupted; [`Workers`] give up a thread that is stuck all the same, and
//! the memory that the engine itself takes for each step (some hundred bytes) is bounded by the steps and the stack only.
//!
//! **Who suffers.** Each adapter has a [`Lane`] of threads of its own. A record that ends in a bound is told as a fault
//! that names the mapping; where it is several different ones in a row, the lane's [`Keeper`] lets the adapter rest.

mod allowed;
mod compile;
mod filter;
mod lane;
mod library;
mod meter;
mod native;
mod source;
mod tables;
mod text;
mod value;
mod walk;
mod workers;

pub use filter::{Filter, Scope};
pub use lane::{Keeper, Lane, Mark, Sickness};
pub use library::Library;
pub use meter::{Bounds, on_big_stack};
pub use tables::Tables;
pub use text::{Escape, Text};
pub use workers::{Stuck, Workers};

use crate::fault::Fault;

/// Where an expression stands in what people wrote, so that a fault can name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// File, relative to the adapter's folder: `adapter.toml`.
    pub file: String,
    /// Line of the file on which the expression begins, from 1; 0 if it is not known.
    pub line: usize,
    /// Key of the manifest, for people: `push.dossier.record`.
    pub key: String,
}

/// Why a filter gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The record, a table or the mapping itself is at fault.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// The mapping left this record out on purpose: `ignore("why")`.
    #[error("ignored: {0}")]
    Ignored(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

#[cfg(test)]
mod tests;
