//! Liên Thông, an integration bus for a province's administrative dossiers: what one system has recorded appears,
//! complete and exactly once, in every other system that must have it.

pub mod adapter;
pub mod admin;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod demo;
pub mod dossier;
pub mod event;
pub mod failpoint;
pub mod fault;
pub mod files;
pub mod jq;
pub mod node;
mod read;
pub mod retry;
pub mod sandbox;
pub mod stage;
pub mod store;
pub mod xml;
