//! The first flow through the front doors: dossiers go in by webhook and pull over real HTTP, a real node with a real
//! SQLite file carries them, the stand-ins keep what they were given. Where a command is meant, the built binary is run.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not foresee")]

#[path = "../stores/mod.rs"]
#[macro_use]
mod stores;
#[path = "../services/broker.rs"]
mod broker;

mod admin;
mod demo;
mod feed;
mod files;
mod hand_typed;
mod input;
mod pull;
mod readme;
mod support;
mod trial;
mod variants;
mod write_back;
