//! The hosts of the lab, and running programs on them.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

/// A host of the lab: a network namespace. All of them share files and processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host {
    /// Has the gate and the ssh server.
    Server,
    /// Knows the sequence.
    Client,
    /// Does not.
    Stranger,
    /// Is reached through the server, where there is one: see [`super::Guest`].
    Guest,
}

impl Host {
    /// Those that every lab has.
    pub const ALL: [Self; 3] = [Self::Server, Self::Client, Self::Stranger];

    /// The name of its namespace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Stranger => "stranger",
            Self::Guest => "guest",
        }
    }

    /// The file that is its namespace.
    #[must_use]
    pub fn path(self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name())
    }

    /// Calls `work` in a thread that is on this host: so are its sockets, and the programs it
    /// starts.
    ///
    /// # Errors
    ///
    /// If there is no such host, or `work` fails.
    pub fn enter<T: Send>(self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = self.path();
        let namespace = File::open(&path).with_context(|| format!("no host {}: {}", self.name(), path.display()))?;
        let inside = move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Starts a program here.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(self, command: &mut Command) -> Result<Child> {
        let name = name_of(command);
        self.enter(|| command.spawn().with_context(|| format!("cannot start {name}")))
    }

    /// Runs a program here to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn run(self, command: &mut Command) -> Result<Ran> {
        let name = name_of(command);
        let output = self.enter(|| command.output().with_context(|| format!("cannot start {name}")))?;
        Ok(Ran::new(name, &output))
    }

    /// Runs a program here, which must succeed, and returns what it says.
    ///
    /// # Errors
    ///
    /// If it does not succeed.
    pub fn must<S: AsRef<std::ffi::OsStr>>(self, words: &[S]) -> Result<String> {
        self.run(&mut words_to_command(words))?.success()
    }
}

/// A command from its words, the program first.
pub(super) fn words_to_command<S: AsRef<std::ffi::OsStr>>(words: &[S]) -> Command {
    let (program, args) = words.split_first().expect("a program");
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// The command as one would type it.
pub(super) fn name_of(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(std::ffi::OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// What a program did.
pub struct Ran {
    /// The command.
    pub name: String,
    /// Its exit code; a signal counts as 128 more, as in a shell.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    pub(super) fn new(name: String, output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let status = output.status;
        Self {
            name,
            code: status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Its standard output.
    ///
    /// # Errors
    ///
    /// If it did not succeed.
    pub fn success(self) -> Result<String> {
        if self.code == 0 { Ok(self.stdout) } else { bail!("{self}") }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with {}\n{}{}", self.name, self.code, self.stdout, self.stderr)
    }
}
