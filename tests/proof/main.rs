//! The proof over real processes: the built daemon, the oracle as a process of its own, real sockets and files, and
//! everything that can die or stall in between.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

#[path = "../oracle/mod.rs"]
mod oracle;

mod judge;
mod model;
