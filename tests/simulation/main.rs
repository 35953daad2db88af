//! The simulation: the real stages over the real SQLite store, in one thread, with everything around them made of paper.
//!
//! A run is a small province: a source that tells of a few dossiers, one or two targets that are the oracle
//! (`tests/oracle/`), a broker that keeps its promises and no more, a clock of our own. The doubles pass a *gap*
//! ([`gates`]) before and after everything they do, and at every gap the seed chooses what happens first: this step goes
//! on, another one does, the source has news, time passes, a clock is turned, a target goes away, or the node dies as it
//! stands and is started from its file. After the storm comes the quiet: nothing goes wrong any more, and when nothing is
//! left to do the judge looks at what the targets hold ([`report`]).
//!
//! The same seed gives the same run: stages are polled one at a time, filters run on this thread, and whatever is left to
//! chance comes from the seed. Nothing here waits for real time.
//!
//! * [`seeds`]: runs by the number; what the environment may say is there;
//! * [`matrix`]: a death at every gap, at every class of target, in every weather;
//! * [`kept`]: runs that failed once, each as its whole plan;
//! * [`controls`]: one safeguard taken away, and the judge must notice;
//! * [`officer`]: a target that writes too;
//! * [`herd`]: a target that was away for a week;
//! * [`restored`]: a target that came back from its backup.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]
#![expect(
    clippy::enum_variant_names,
    reason = "each control says what there is none of"
)]
#![expect(clippy::result_large_err, reason = "a report is made once, when a run fails")]

#[path = "../oracle/mod.rs"]
mod oracle;

mod broker;
mod controls;
mod gates;
mod herd;
mod honesty;
mod kept;
mod kit;
mod matrix;
mod node;
mod officer;
mod plan;
mod report;
mod restored;
mod seeds;
mod source;
mod store;
mod target;
mod world;
