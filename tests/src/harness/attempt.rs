//! One attempt at a test, in a process of its own.

use std::io::{self, Read as _};
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, SysconfVar, sysconf};

use super::failure;
use crate::lab::{patience, sandbox};

/// The test that this process is for.
pub(super) const TEST: &str = "KNOCK_TEST";
/// The process id of who asked for it.
pub(super) const ASKED_BY: &str = "KNOCK_TEST_ASKED_BY";
/// Behind this line a test says why it failed.
pub(super) const WHY: &str = "=== why it failed";

/// A test that takes longer than this and twice the time that it was given hangs. Time in which some thread of this host
/// waited for a CPU is left out.
const LIMIT: Duration = Duration::from_secs(8 * 60);

/// Whatever was waited for, no test takes so many times as long.
const AT_MOST: u32 = 2;

/// How long threads have waited for a CPU (Documentation/accounting/psi.rst); no kernel without it counts that.
const PRESSURE: &str = "/proc/pressure/cpu";

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It passed.
    Passed,
    /// The machine may be the reason: it is worth another attempt.
    Unstable,
    /// An assertion failed.
    Broken,
}

/// One attempt.
pub(super) struct Attempt {
    /// How it ended.
    pub end: End,
    /// All that it printed, and how its process ended if it failed.
    pub text: String,
    /// How long it took.
    pub time: Duration,
    /// The CPU time of all of its processes.
    pub cpu: Duration,
}

impl Attempt {
    /// Why it failed, without what it printed on the way there.
    pub fn why(&self) -> &str {
        self.text.rsplit_once(WHY).map_or(self.text.as_str(), |(_, why)| why).trim()
    }
}

/// This program, asked for one test.
///
/// # Errors
///
/// If this program cannot be found.
pub fn itself(test: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env_remove(sandbox::STAGE).env(TEST, test).env(ASKED_BY, process::id().to_string());
    Ok(command)
}

/// Makes a test.
pub(super) fn make(name: &str) -> Result<Attempt> {
    let (mut output, input) = io::pipe()?;
    let mut command = itself(name)?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let (start, waited) = (Instant::now(), waited_for_cpus());
    let mut child = command.spawn()?;
    // It holds the other end of the pipe.
    drop(command);
    // Whoever else holds it ends with the sandbox.
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let id = Pid::from_raw(i32::try_from(child.id())?);
    // Its CPU time can be read until it is waited for.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let mut hangs = false;
    while waitid(Id::Pid(id), flags)? == WaitStatus::StillAlive {
        if hangs_after(start.elapsed(), || waited_for_cpus().saturating_sub(waited)) {
            hangs = true;
            child.kill()?;
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let (time, cpu) = (start.elapsed(), cpu_time(id)?);
    let status = Some(child.wait()?).filter(|_| !hangs);
    let mut text = reader.join().unwrap_or_default();
    let end = end_of(status);
    if end != End::Passed {
        let how = match status {
            Some(status) => status.to_string(),
            None => format!("hung: ended after {} s", time.as_secs()),
        };
        text += &format!("\n{how}\n");
    }
    Ok(Attempt { end, text, time, cpu })
}

/// The CPU time of a process that has ended, and of those that it has waited for: proc_pid_stat(5).
fn cpu_time(process: Pid) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let behind_name = stat.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
    // utime, stime, cutime, cstime: fields 14 to 17, where the first behind the name is 3.
    let ticks = behind_name.split_whitespace().skip(11).take(4).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("sysconf(CLK_TCK)")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// What the end of its process means. One that hangs, or whose outermost process is ended by a signal, may have met a
/// busy machine.
fn end_of(status: Option<ExitStatus>) -> End {
    match status.map(|status| status.code()) {
        Some(Some(0)) => End::Passed,
        Some(Some(code)) if code != i32::from(failure::UNSTABLE) => End::Broken,
        _ => End::Unstable,
    }
}

/// True if a test has taken too long, of which some thread waited for a CPU for a while.
fn hangs_after(elapsed: Duration, waited: impl FnOnce() -> Duration) -> bool {
    let limit = limit();
    elapsed > limit && (elapsed > limit * AT_MOST || elapsed.saturating_sub(waited()) > limit)
}

/// For how long, since this host was booted, some thread or more waited for a CPU.
fn waited_for_cpus() -> Duration {
    let text = fs::read_to_string(PRESSURE).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("some ")?.rsplit_once("total=")?.1.parse().ok());
    Duration::from_micros(total.unwrap_or_default())
}

/// How long a test may take. Some go on for as many seconds as the environment says.
fn limit() -> Duration {
    let seconds = env::var("KNOCK_SECONDS").ok().and_then(|text| text.parse().ok());
    LIMIT * patience() + 2 * Duration::from_secs(seconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_end_of_the_process_tells_an_assertion_from_a_busy_machine() {
        let exited = |code: u8| Some(ExitStatus::from_raw(i32::from(code) << 8));
        assert_eq!(end_of(exited(0)), End::Passed);
        assert_eq!(end_of(exited(failure::BROKEN)), End::Broken);
        assert_eq!(end_of(exited(1)), End::Broken);
        assert_eq!(end_of(exited(failure::UNSTABLE)), End::Unstable);
        assert_eq!(end_of(None), End::Unstable);
        assert_eq!(end_of(Some(ExitStatus::from_raw(9))), End::Unstable);
    }

    #[test]
    fn a_test_that_waits_for_a_cpu_with_others_does_not_hang() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let hangs = |elapsed, waited| hangs_after(minutes(elapsed), || minutes(waited));
        assert!(!hangs(7, 0) && hangs(9, 0) && hangs(15, 6));
        assert!(!hangs(9, 2) && !hangs(15, 8) && hangs(17, 17));
    }

    #[test]
    fn why_it_failed_stands_behind_its_mark() {
        let attempt = |text: &str| {
            Attempt { end: End::Broken, text: text.to_owned(), time: Duration::ZERO, cpu: Duration::ZERO }
                .why()
                .to_owned()
        };
        assert_eq!(attempt(&format!("much\n{WHY}\nno grant\n")), "no grant");
        assert_eq!(attempt("ended by a signal\n"), "ended by a signal");
    }
}
