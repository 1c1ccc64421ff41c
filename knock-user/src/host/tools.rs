//! The tools that list packet filters, run and waited for, without threads: the daemon gives its rights up right behind.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long a listing may take: one of a million elements takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a tool has printed; `None` if it is not installed.
///
/// # Errors
///
/// What it says went wrong, or that it took too long.
pub fn say(tool: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    say_within(tool, arguments, PATIENCE)
}

fn say_within(tool: &str, arguments: &[&str], patience: Duration) -> Result<Option<String>, String> {
    let failed = |error: io::Error| format!("{tool}: {error}");
    // Files in memory hold all that is written, where pipes that nobody reads hold the tool up.
    let (out, complaint) = (memory().map_err(failed)?, memory().map_err(failed)?);
    let Some(mut child) = start(tool, arguments, &out, &complaint).map_err(failed)? else { return Ok(None) };
    let ended = ends_within(&child, patience);
    if !matches!(ended, Ok(true)) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    if !ended.map_err(failed)? {
        return Err(format!("{tool}: takes longer than {} s", patience.as_secs()));
    }
    if status.success() {
        return read(out).map(Some).map_err(failed);
    }
    let complaint = read(complaint).map_err(failed)?;
    Err(format!("{tool}: {}", complaint.lines().next().map_or_else(|| status.to_string(), str::to_owned)))
}

fn memory() -> io::Result<File> {
    Ok(memfd_create("listing", MemfdFlags::CLOEXEC)?.into())
}

/// Starts a tool; a service's or a user's PATH may not have it.
fn start(tool: &str, arguments: &[&str], out: &File, complaint: &File) -> io::Result<Option<Child>> {
    for folder in ["", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"] {
        let program = format!("{folder}{tool}");
        let mut command = Command::new(OsStr::new(&program));
        command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
        match command.stdout(out.try_clone()?).stderr(complaint.try_clone()?).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(Some),
        }
    }
    Ok(None)
}

/// Waits for the end of a child that nobody else waits for.
fn ends_within(child: &Child, patience: Duration) -> io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let end = Instant::now() + patience;
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

fn read(mut file: File) -> io::Result<String> {
    let mut octets = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_says_what_it_prints_however_long_that_is() {
        // More than a pipe holds.
        let text = say("sh", &["-c", "seq 1 100000; seq 1 100000 >&2"]).unwrap().unwrap();
        assert_eq!((text.lines().count(), text.lines().last()), (100_000, Some("100000")));
        assert_eq!(say("no-such-tool-anywhere", &[]), Ok(None));
    }

    #[test]
    fn a_tool_that_fails_says_why() {
        assert_eq!(
            say("sh", &["-c", "echo some; echo 'out of order' >&2; exit 3"]),
            Err("sh: out of order".to_owned())
        );
        assert_eq!(say("false", &[]), Err("false: exit status: 1".to_owned()));
    }

    #[test]
    fn a_tool_that_takes_too_long_is_ended() {
        let said = say_within("sh", &["-c", "echo some; exec sleep 600"], Duration::from_millis(50));
        assert_eq!(said, Err("sh: takes longer than 0 s".to_owned()));
    }
}
