//! Runs commands, with the environment a person's shell would have given them.
//!
//! `cargo run` and the rustup proxy leave variables behind that would make a nested cargo use the
//! wrong toolchain, or build everything again; see [`is_leaked`].

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Directories with programs of the system that a user's PATH may leave out.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program, with the toolchain that runs us for any cargo in it.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_leaked) {
            command.env_remove(name);
        }
    }
    match libraries() {
        Some(rest) => command.env("LD_LIBRARY_PATH", rest),
        None => command.env_remove("LD_LIBRARY_PATH"),
    };
    command
}

/// A program that has a Rust toolchain of its own: nothing of ours, and no flags meant for ours.
pub fn foreign(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    for name in
        ["RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUSTUP_TOOLCHAIN_SOURCE", "CARGO_ENCODED_RUSTFLAGS"]
    {
        command.env_remove(name);
    }
    command
}

/// The cargo that runs us.
pub fn cargo(verb: &str) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(verb).current_dir(paths::workspace());
    command
}

/// Whether `cargo run` or rustup put this variable into our environment for us alone.
fn is_leaked(name: &str) -> bool {
    const NAMES: [&str; 5] = ["CARGO", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR", "RUST_RECURSION_COUNT"];
    const PREFIXES: [&str; 3] = ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// LD_LIBRARY_PATH without what cargo put before it: its target directory and its toolchain.
fn libraries() -> Option<OsString> {
    let all = env::var_os("LD_LIBRARY_PATH")?;
    let exe = env::current_exe().unwrap_or_default();
    let target = exe.parent().unwrap_or(Path::new(""));
    let rest: Vec<PathBuf> =
        env::split_paths(&all).filter(|dir| !dir.starts_with(target) && !is_toolchain(dir)).collect();
    if rest.is_empty() {
        return None;
    }
    env::join_paths(rest).ok()
}

/// Whether a directory is in one of rustup's toolchains.
fn is_toolchain(dir: &Path) -> bool {
    dir.components().any(|part| part.as_os_str() == "toolchains")
}

/// The program's path, in PATH or among the system's own directories.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Runs a command that prints for itself; an error unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", display(command)))?;
    check(command, status)
}

/// Runs a command that prints to standard error, and returns its standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{}`", display(command)))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", display(command)))
}

/// What a command prints, or nothing if it cannot be started or fails: a probe.
pub fn probe(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command without a terminal, its output in `target/setup/NAME.log`; if there is a limit, it
/// is killed then. The error is the end of the output.
pub fn logged(command: &mut Command, name: &str, limit: Option<Duration>) -> Result<()> {
    let log = paths::logs().join(name).with_extension("log");
    let (status, text) = captured(command, &log, limit)?;
    let how = match status {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => "it took too long".to_owned(),
    };
    bail!("{how}:\n{}\nall of it in {}", tail(&text, 8), log.display())
}

/// Runs a command without a terminal, its output in a file. How it ended, nothing if it had to be killed at
/// the limit, and what it printed.
pub fn captured(command: &mut Command, log: &Path, limit: Option<Duration>) -> Result<(Option<ExitStatus>, String)> {
    let dir = log.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    let status = wait(&mut child, limit)?;
    let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Runs a command without standard input, shows all that it prints as it comes, and keeps it in a file. How it ended.
pub fn shown(command: &mut Command, log: &Path) -> Result<ExitStatus> {
    let dir = log.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let (mut output, input) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", display(command)))?;
    // The command holds the other end of the pipe.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut part = vec![0; 1 << 16];
    loop {
        let length = output.read(&mut part)?;
        if length == 0 {
            break;
        }
        file.write_all(&part[..length])?;
        // Where it cannot be shown, the work goes on all the same.
        let mut out = io::stdout().lock();
        let _ = out.write_all(&part[..length]).and_then(|()| out.flush());
    }
    Ok(child.wait()?)
}

/// Waits for a child; nothing if it had to be killed at the limit.
fn wait(child: &mut Child, limit: Option<Duration>) -> io::Result<Option<ExitStatus>> {
    let Some(limit) = limit else {
        return child.wait().map(Some);
    };
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// An error with the command line unless the status is success.
fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}`: {status}", display(command));
    }
    Ok(())
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A command as one would type it.
pub fn display(command: &Command) -> String {
    let words: Vec<String> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(|word| quote(&word.to_string_lossy()))
        .collect();
    words.join(" ")
}

/// A word as a shell must be given it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_leaves_behind_is_told_from_what_a_person_set() {
        for name in ["CARGO", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "OUT_DIR"] {
            assert!(is_leaked(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!is_leaked(name), "{name}");
        }
    }

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("cargo");
        command.arg("install").arg("it's");
        assert_eq!(display(&command), r"cargo install 'it'\''s'");
    }

    #[test]
    fn empty_words_are_quoted() {
        assert_eq!(quote(""), "''");
        assert_eq!(quote("--for=test"), "--for=test");
    }

    #[test]
    fn the_tail_of_a_text_is_its_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }

    #[test]
    fn what_is_shown_is_kept_as_well() {
        let log = env::temp_dir().join(format!("xtask-shown-{}", std::process::id()));
        let mut command = Command::new("sh");
        let status = shown(command.args(["-c", "echo out; echo err >&2; exit 3"]), &log).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(fs::read_to_string(&log).unwrap(), "out\nerr\n");
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_command_is_killed_at_its_limit() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let start = Instant::now();
        let status = wait(&mut child, Some(Duration::from_millis(50))).unwrap();
        assert!(status.is_none());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
