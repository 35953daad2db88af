//! The adapters that the demo works with, in its own folder: to be looked at and, on trial, to be changed.

use std::path::{Path, PathBuf};

/// The shipped adapters, written where they can be looked at.
pub(super) fn shipped(folder: &Path) -> std::io::Result<PathBuf> {
    let target = folder.join("adapters");
    std::fs::create_dir(&target)?;
    crate::adapter::shipped::write(&target)?;
    Ok(target)
}

/// Other adapters, copied to where they may be changed.
pub(super) fn copied(from: &Path, folder: &Path) -> std::io::Result<PathBuf> {
    let target = folder.join("adapters");
    copy(from, &target)?;
    Ok(target)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        // What a link leads to is copied, so that nothing outside is written to.
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
