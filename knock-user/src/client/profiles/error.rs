//! Why there are no profiles.

use std::path::PathBuf;
use std::{fmt, io};

use crate::syntax::Diagnostic;

/// Why there are no profiles.
#[derive(Debug)]
pub enum ProfilesError {
    /// The file could not be read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read or write the file.
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is another user's.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was read, and is refused.
    Refused(Vec<Diagnostic>),
}

impl fmt::Display for ProfilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => {
                let help = match source.kind() {
                    io::ErrorKind::NotFound => "begin with a copy of examples/client.toml, readable by you alone",
                    io::ErrorKind::PermissionDenied => "the file must be your own",
                    io::ErrorKind::IsADirectory => "name a file in it",
                    io::ErrorKind::FileTooLarge => "name a file of profiles: this one is far too large to be one",
                    _ => "make the file readable, or name another with --profiles",
                };
                write!(f, "{}: error: {source}\n  help: {help}", path.display())
            }
            Self::Open { path, mode } => {
                let path = path.display();
                write!(f, "{path}: error: others can read or write it (mode {mode:03o}), and it opens doors")?;
                write!(f, "\n  help: chmod 600 {path}")
            }
            Self::Foreign { path } => {
                let path = path.display();
                write!(f, "{path}: error: it belongs to another user, who would decide what is run here")?;
                write!(f, "\n  help: chown it to yourself, or make a copy of your own")
            }
            Self::Refused(findings) => {
                let texts: Vec<String> = findings.iter().map(Diagnostic::to_string).collect();
                f.write_str(&texts.join("\n"))
            }
        }
    }
}

impl std::error::Error for ProfilesError {}
