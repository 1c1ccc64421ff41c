//! `SHA256SUMS`, for `sha256sum --check`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{paths, shell};

/// Writes the file; the names in it are without directories.
pub fn write(files: &[PathBuf]) -> Result<PathBuf> {
    let mut command = shell::command("sha256sum");
    command.current_dir(paths::dist());
    for file in files {
        command.arg(file.file_name().with_context(|| file.display().to_string())?);
    }
    let path = paths::dist().join("SHA256SUMS");
    fs::write(&path, shell::read(&mut command)?).with_context(|| path.display().to_string())?;
    Ok(path)
}
