//! Where the profiles are, and who may read them there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::ProfilesError;

/// `knock/client.toml` in the user's own directory of configs: `$XDG_CONFIG_HOME` or `~/.config` on
/// Unix (macOS too), `%APPDATA%` on Windows. `None` if this user has no home.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|base| base.config_dir().join("knock").join("client.toml"))
}

/// Opens a file that nobody else can read or write: it opens doors, and says what is run.
pub(super) fn open(path: &Path) -> Result<File, ProfilesError> {
    let file = File::open(path).map_err(|source| ProfilesError::Io { path: path.to_owned(), source })?;
    let metadata = file.metadata().map_err(|source| ProfilesError::Io { path: path.to_owned(), source })?;
    if metadata.is_dir() {
        let source = io::ErrorKind::IsADirectory.into();
        return Err(ProfilesError::Io { path: path.to_owned(), source });
    }
    private(path, &metadata)?;
    Ok(file)
}

#[cfg(unix)]
fn private(path: &Path, metadata: &std::fs::Metadata) -> Result<(), ProfilesError> {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(ProfilesError::Foreign { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ProfilesError::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Elsewhere the user's own directory is private, and permissions are no matter of a mode.
#[cfg(not(unix))]
fn private(_: &Path, _: &std::fs::Metadata) -> Result<(), ProfilesError> {
    Ok(())
}
