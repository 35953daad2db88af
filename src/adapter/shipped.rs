//! The adapters that come with the program.

use std::path::Path;

use include_dir::{Dir, include_dir};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/adapters");

/// Writes the shipped adapter folders into an existing folder, where they can be read and changed.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path) -> std::io::Result<()> {
    SHIPPED.extract(folder)
}
