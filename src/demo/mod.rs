//! The demo: sixty-two invented dossiers of a province go through a real node, its officials work on them, and a judge that
//! shares no code with the bus says whether the national portal holds them completely and exactly once. On trial, both
//! stand-ins answer late, fail, cut connections and lose sessions meanwhile, and the verdict must be the same.

mod adapters;
mod doubt;
pub mod input;
pub mod judge;
mod licences;
mod province;
mod report;
mod run;
mod standing;
mod trial;
mod world;

pub use doubt::Doubt;
pub use province::SECRETS;
pub use report::{Latency, Report, Suffered, System};
pub use run::{News, Options, run};
pub use standing::Standing;
pub use trial::Trial;
pub use world::{Circumstances, DemoError, FILES, World};
