//! One hook as a process: started, listened to, and ended with all it has started if it takes too
//! long.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::output::Output;
use super::script::Script;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long a command's output is awaited once it has ended: it may have left something running that
/// holds the pipe.
const LATE_OUTPUT: Duration = Duration::from_millis(500);
/// A pause for every piece of a flood, so that it slows down the one who writes it and nobody else.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);

/// A hook that was started.
pub struct Running {
    child: Child,
    group: Option<Pid>,
    pipe: Receiver,
}

/// How a hook ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With status 0.
    Success,
    /// With another status.
    Status(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// It took longer than it may.
    TimedOut,
    /// Nobody can say.
    Lost,
}

impl From<io::Result<ExitStatus>> for Ending {
    fn from(status: io::Result<ExitStatus>) -> Self {
        match status.map(|status| (status.code(), status.signal())) {
            Ok((Some(0), _)) => Self::Success,
            Ok((Some(code), _)) => Self::Status(code),
            Ok((None, Some(signal))) => Self::Signal(signal),
            _ => Self::Lost,
        }
    }
}

/// Starts a hook: a shell in a process group of its own, in `/`, with nothing to read, and with the
/// environment of its script alone.
///
/// # Errors
///
/// Of pipe(2) and of starting the shell.
pub fn start(script: &Script) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script.command])
        .env_clear()
        .envs(&script.environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    let pipe = Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let child = command.spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok(Running { child, group, pipe })
}

impl Running {
    /// Waits for its end, `limit` at most, and then ends it.
    pub async fn finish(self, limit: Duration) -> (Ending, Output) {
        let Self { mut child, group, mut pipe } = self;
        let mut output = Output::default();
        let ending = {
            let mut listening = pin!(listen(&mut pipe, &mut output));
            let mut heard = false;
            let ended = timeout(limit, async {
                tokio::select! {
                    status = child.wait() => return status,
                    () = &mut listening => heard = true,
                }
                child.wait().await
            });
            match ended.await {
                Ok(status) => {
                    if !heard {
                        let _ = timeout(LATE_OUTPUT, listening).await;
                    }
                    status.into()
                }
                Err(_) => {
                    // Not waited for before the group is killed: until then its number is not given away.
                    end(group, Signal::TERM);
                    sleep(GRACE).await;
                    end(group, Signal::KILL);
                    let _ = child.wait().await;
                    Ending::TimedOut
                }
            }
        };
        (ending, output)
    }
}

fn end(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended at this moment.
        let _ = kill_process_group(group, signal);
    }
}

/// Reads until everybody who could write has closed the pipe.
async fn listen(pipe: &mut Receiver, output: &mut Output) {
    let mut piece = vec![0; 64 * 1024];
    while pipe.readable().await.is_ok() {
        match pipe.try_read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                output.take(&piece[..length]);
                if output.is_over() {
                    sleep(FLOOD_PAUSE).await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;

    fn run(command: &str, limit: Duration) -> (Ending, Vec<String>) {
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        let script = Script { command: command.to_owned(), environment: BTreeMap::from([path]) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (ending, output) = runtime.block_on(async { start(&script).unwrap().finish(limit).await });
        (ending, output.lines())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn both_outputs_come_in_their_order() {
        let (ending, lines) = run("echo one; echo two >&2; echo three", LONG);
        assert_eq!((ending, lines), (Ending::Success, vec!["one".into(), "two".into(), "three".into()]));
    }

    #[test]
    fn endings_are_told_apart() {
        assert_eq!(run("exit 3", LONG).0, Ending::Status(3));
        assert_eq!(run("kill -9 $$", LONG).0, Ending::Signal(9));
        let (ending, lines) = run("no-such-program-here", LONG);
        assert_eq!(ending, Ending::Status(127));
        assert!(lines[0].contains("not found"), "{lines:?}");
    }

    #[test]
    fn a_hook_has_its_environment_and_nothing_else() {
        let (_, lines) = run("pwd; cat; env | cut -d= -f1 | sort", LONG);
        assert_eq!(lines[0], "/");
        assert!(
            lines[1..].iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str())),
            "{lines:?}"
        );
    }

    #[test]
    fn a_hook_that_hangs_ends_with_its_children() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let command = format!("trap '' TERM; sleep 3600 & echo $! > {path}; echo hanging; wait; wait; sleep 3600");
        let begun = Instant::now();
        let (ending, lines) = run(&command, Duration::from_secs(1));
        assert_eq!((ending, lines), (Ending::TimedOut, vec!["hanging".into()]));
        assert!(begun.elapsed() >= Duration::from_secs(1) + GRACE);
        let child: i32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
        // A zombie, if nobody reaps it here, or gone: as soon as the kernel has got round to it.
        let killed = Instant::now();
        loop {
            let status = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if status.is_empty() || status.contains(") Z ") {
                break;
            }
            assert!(killed.elapsed() < LONG, "{status}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_goes_on_in_the_background_is_not_waited_for() {
        let begun = Instant::now();
        let (ending, lines) = run("sleep 20 & echo begun", LONG);
        assert_eq!((ending, lines), (Ending::Success, vec!["begun".into()]));
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn a_flood_is_slowed_down_and_counted() {
        let (ending, lines) = run("yes", Duration::from_secs(1));
        assert_eq!(ending, Ending::TimedOut);
        let last = lines.last().unwrap();
        let left_out: u64 = last.trim_start_matches('(').split(' ').next().unwrap().parse().unwrap();
        // 64 KiB for every pause, over the limit and the grace.
        assert!(left_out < 20_000_000, "{last}");
    }
}
