//! The proof over real processes: the built daemon, the oracle as a process of its own, real sockets and files, and
//! everything that can die or stall in between. How to run it, and what it shows: `tests/README.md`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

#[path = "../services/broker.rs"]
mod broker;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../stores/mod.rs"]
#[macro_use]
mod stores;

mod bad;
mod cable;
mod cell;
mod checks;
mod controls;
mod cover;
mod database;
mod deaths;
mod demo;
mod judge;
mod many;
mod matrix;
mod migrations;
mod model;
mod node;
mod proxy;
mod run;
mod source;
mod support;
mod target;
mod world;
