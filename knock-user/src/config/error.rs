//! Why there is no config.

use std::path::PathBuf;
use std::{fmt, io};

use super::diagnostic::Diagnostic;

/// Why there is no config.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read.
    Io {
        /// The file, as it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file was read, and is refused. At least one of the findings is an error.
    Refused(Vec<Diagnostic>),
}

impl ConfigError {
    /// What was found in the file; nothing if it could not be read.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Io { .. } => &[],
            Self::Refused(diagnostics) => diagnostics,
        }
    }
}

impl fmt::Display for ConfigError {
    /// One finding after the other; `{:#}` with the lines of the file (see [`Diagnostic`]).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => {
                let help = match source.kind() {
                    io::ErrorKind::NotFound => "name another file, or begin with a copy of examples/knock.toml",
                    io::ErrorKind::PermissionDenied => "run it as root: the sequences are secret",
                    io::ErrorKind::IsADirectory => "name a file in it",
                    io::ErrorKind::FileTooLarge => "name a config file: this one is far too large to be one",
                    _ => "make the file readable, or name another",
                };
                write!(f, "{}: error: {source}\n  help: {help}", path.display())
            }
            Self::Refused(diagnostics) => {
                for (index, diagnostic) in diagnostics.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    fmt::Display::fmt(diagnostic, f)?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}
