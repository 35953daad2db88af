//! The stand-ins, over real HTTP: they answer as the real systems do and refuse what these refuse.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod driving_licence;
mod engine;
mod faults;
mod judicial_records;
mod judicial_records_2;
mod national_portal;
mod one_stop;
mod one_stop_actions;
mod one_stop_intake;
mod population;
mod support;
mod wire;
mod wrappings;
mod write_back;
