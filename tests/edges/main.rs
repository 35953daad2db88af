//! The edges of the house: what comes in broken, what goes out and comes back unclear, and what dies in between.
//!
//! Everything is real: HTTP, SQLite, the stand-ins, the built program. Time is a clock that the test moves wherever the
//! node runs inside the test; a program of its own has the machine's clock and short spans in its manifest.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

#[path = "../stores/mod.rs"]
#[macro_use]
mod stores;

mod acknowledge;
mod batches;
mod batches_across;
mod broker;
mod clock;
mod create_open;
mod daemon;
mod decisions;
mod doubt;
mod durability;
mod files;
mod flapping;
mod history;
mod intake;
mod items;
mod joined;
mod judicial_records;
mod judicial_records_2;
mod kept;
mod leases;
mod lookups;
mod odd;
mod overtaken;
mod own_word;
mod peers;
mod poison;
mod population;
mod privacy;
mod rabbitmq;
mod rabbitmq_drift;
mod rabbitmq_faults;
mod rabbitmq_intruder;
mod redeploy;
mod repeats;
mod reports;
mod several_stores;
mod shared_store;
mod sick;
mod steps;
mod steps_unseen;
mod store;
mod strangers;
mod support;
mod suspects;
mod tail;
mod unit;
mod unmapped;
mod verdicts;
mod versions;
mod webhook;
mod windows;
