//! The demo: sixty invented dossiers of a province go through a real node, its officials work on them, and a judge that
//! shares no code with the bus says whether the national portal holds them completely and exactly once.

pub mod input;
pub mod judge;
mod report;
mod run;
mod world;

pub use report::{Latency, Report, System};
pub use run::{Options, run};
pub use world::{DemoError, FILES, SECRETS, World};
