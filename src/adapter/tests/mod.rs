//! Whole manifests, sound and broken.

mod broken;
mod calls;
mod operations;
mod samples;
mod schema;
mod shipped;
mod variants;
mod world;
