//! The oracle: a target system whose rows are the truth, and the judge that compares them with what was accepted.
//!
//! Everything here but [`journal`] and [`ledger`] is pure and deterministic: no I/O, no threads, no clock. Time comes from the caller,
//! in milliseconds. So the same model serves the simulation, which calls it directly, and the oracle process
//! (`process.rs`), which puts it behind HTTP.
//!
//! * [`mishap`]: what goes wrong, how often, and the times that the adapter declares;
//! * [`books`]: the rows, every commit in order, and what the system does with a request when nothing goes wrong;
//! * [`asked`]: the classes of systems, and what their requests want;
//! * [`model`]: the system as seen from outside: a request comes, something happens on the wire, perhaps later in the
//!   books;
//! * [`judge`]: the invariants, and what violates them;
//! * [`source`]: what the source says, and what the targets are to have of it;
//! * [`ledger`]: what a node's store says about it;
//! * [`journal`]: everything an oracle was told, in a file that makes it again.
//!
//! Included by test targets with `#[path = "../oracle/mod.rs"] mod oracle;`. The adapter folders that speak to it lie
//! beside it in `adapters/`, one for each [`Class`](asked::Class); `adapters/source` brings dossiers in.

#![allow(dead_code, reason = "each target that includes this uses another part of it")]

pub(crate) mod asked;
pub(crate) mod books;
pub(crate) mod journal;
pub(crate) mod judge;
pub(crate) mod ledger;
pub(crate) mod mishap;
pub(crate) mod model;
pub(crate) mod source;
