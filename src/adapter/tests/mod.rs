//! Whole manifests, sound and broken.

mod batch;
mod broken;
mod calls;
mod lookups;
mod operations;
mod samples;
mod schema;
mod shipped;
mod steps;
mod variants;
mod world;
