//! How `knockctl` ends.

use std::process::ExitCode;

/// The exit code of every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A negative answer: nothing loaded, no such grant, a config with errors, no log.
    Negative = 1,
    /// An error; wrong usage too.
    Error = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
