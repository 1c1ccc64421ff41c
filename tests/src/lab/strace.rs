//! Faults in the system calls of a program: strace kills it at the n-th call, or lets the call fail.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Background, Host, TIMEOUT, sandbox, until};

/// Calls that may change what outlives a process.
const CALLS: &str = "bpf,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fchmod,ftruncate";

/// One call of a program: the n-th of its name, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Which of them.
    pub number: usize,
    /// With its arguments and result, as strace shows it.
    pub text: String,
}

impl Call {
    /// True if it has changed something that outlives the process.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        const COMMANDS: [&str; 8] = [
            "OBJ_PIN",
            "LINK_CREATE",
            "LINK_UPDATE",
            "LINK_DETACH",
            "MAP_LOOKUP_AND_DELETE_ELEM",
            "MAP_DELETE_ELEM",
            "MAP_UPDATE_ELEM",
            "MAP_UPDATE_BATCH",
        ];
        !self.has_failed() && (self.name != "bpf" || COMMANDS.iter().any(|command| self.is(command)))
    }

    /// Its name, and the command of bpf(2).
    fn kind(&self) -> &str {
        self.text.split([',', ')']).next().unwrap_or_default()
    }

    /// True if it is this command of bpf(2).
    #[must_use]
    pub fn is(&self, command: &str) -> bool {
        self.text.contains(&format!("bpf(BPF_{command},"))
    }

    /// True if the kernel refused it.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.text.contains(") = -1 ")
    }
}

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The process ends before the call, as by `kill -9`.
    Kill,
    /// The call fails with this error: `ENOMEM`.
    Error(&'static str),
}

/// Of calls one after the other that do the same to different things, the first, the last, and one of those in
/// between; all of them if `$KNOCK_ALL_STEPS` is set.
#[must_use]
pub fn steps(calls: Vec<Call>) -> Vec<Call> {
    if env::var_os("KNOCK_ALL_STEPS").is_some() {
        return calls;
    }
    let same = |one: &Call, other: &Call| one.name == other.name && (one.name != "bpf" || one.kind() == other.kind());
    let mut steps = Vec::new();
    for run in calls.chunk_by(same) {
        steps.push(run[0].clone());
        if run.len() > 2 {
            steps.push(run[fastrand::usize(1..run.len() - 1)].clone());
        }
        steps.extend(run.last().filter(|_| run.len() > 1).cloned());
    }
    steps
}

/// The calls that a program makes, as strace writes them down.
#[derive(Clone, Debug)]
pub struct Trace(PathBuf);

impl Trace {
    /// A file for them.
    #[must_use]
    pub fn new() -> Self {
        Self(Path::new(sandbox::DIR).join("strace"))
    }

    /// A command, traced. strace is no parent of it: whoever starts it starts the program itself.
    #[must_use]
    pub fn of(&self, command: &Command) -> Command {
        let mut traced = self.strace(&["-D"]);
        traced.arg("--").arg(command.get_program()).args(command.get_args());
        traced
    }

    /// Traces a process that runs.
    ///
    /// # Errors
    ///
    /// If it cannot be traced.
    pub fn attach(&self, process: u32) -> Result<Background> {
        attach(self.strace(&["-p", &process.to_string()]), process)
    }

    fn strace(&self, more: &[&str]) -> Command {
        let _ = fs::remove_file(&self.0);
        let mut command = strace();
        command.args(["-e", &format!("trace={CALLS}"), "-o"]).arg(&self.0).args(more);
        command
    }

    /// What its first thread has called by now.
    ///
    /// # Errors
    ///
    /// If nothing was written down.
    pub fn calls(&self) -> Result<Vec<Call>> {
        let text = fs::read_to_string(&self.0).context("no trace")?;
        let calls = parse(&text);
        ensure!(!calls.is_empty(), "strace has seen nothing:\n{text}");
        Ok(calls)
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// A command in which a call meets a fault.
#[must_use]
pub fn faulty(command: &Command, call: &Call, fault: Fault) -> Command {
    let mut faulty = strace();
    faulty.args(inject(call, fault)).args(["-D", "--"]).arg(command.get_program()).args(command.get_args());
    faulty
}

/// Lets a call of a running process meet a fault, counted from now on, as long as what is returned lives.
///
/// # Errors
///
/// If it cannot be traced.
pub fn fault_in(process: u32, call: &Call, fault: Fault) -> Result<Background> {
    let mut command = strace();
    command.args(inject(call, fault)).args(["-p", &process.to_string()]);
    attach(command, process)
}

/// Lets every call of bpf(2) of a running process fail, as long as what is returned lives.
///
/// # Errors
///
/// If it cannot be traced.
pub fn no_bpf_in(process: u32, error: &str) -> Result<Background> {
    let mut command = strace();
    command.args(["-e", "trace=bpf", "-e", &format!("inject=bpf:error={error}"), "-o", "/dev/null"]);
    command.args(["-p", &process.to_string()]);
    attach(command, process)
}

/// A command in which every call of this name fails.
#[must_use]
pub fn failing(command: &Command, call: &str, error: &str) -> Command {
    let mut failing = strace();
    failing.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={error}"), "-o", "/dev/null"]);
    failing.args(["-D", "--"]).arg(command.get_program()).args(command.get_args());
    failing
}

fn attach(command: Command, process: u32) -> Result<Background> {
    let tracer = Background::start(Host::Server, command, None)?;
    until("strace", TIMEOUT, || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let traced = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim() != "0";
        traced.then_some(())
    })
    .with_context(|| tracer.lines.after(0).join("\n"))?;
    Ok(tracer)
}

fn strace() -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]);
    command
}

fn inject(call: &Call, fault: Fault) -> Vec<String> {
    let Call { name, number, .. } = call;
    let what = match fault {
        Fault::Kill => "signal=KILL".to_owned(),
        Fault::Error(error) => format!("error={error}"),
    };
    let fault = format!("inject={name}:{what}:when={number}");
    [String::from("-e"), format!("trace={name}"), "-e".into(), fault, "-o".into(), "/dev/null".into()].into()
}

/// Lines such as `23 rename("a", "b") = 0`. What other threads call counts apart: strace counts so, too.
fn parse(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let Some((first, _)) = text.split_once(' ') else { return calls };
    for line in text.lines() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        // Of a call that a signal has met strace may not know the name, and writes `???(`.
        let is_name = |name: &str| name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_');
        let Some((name, _)) = text.split_once('(').filter(|(name, _)| is_name(name)) else { continue };
        if thread == first {
            let number = calls.iter().filter(|call| call.name == name).count() + 1;
            calls.push(Call { name: name.to_owned(), number, text: text.to_owned() });
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_name_in_the_first_thread() {
        let text = "7 bpf(BPF_OBJ_GET, {..}, 152) = -1 ENOENT (No such file)\n8 rename(\"x\", \"y\") = 0\n\
                    7 rename(\"a\", \"b\") = 0\n7 bpf(BPF_OBJ_PIN, {..}, 152) = 0\n7 ???( <unfinished ...>\n7 +++ killed by SIGKILL +++\n";
        let calls = parse(text);
        let names: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.number, call.is_lasting())).collect();
        assert_eq!(names, [("bpf", 1, false), ("rename", 1, true), ("bpf", 2, true)]);
        assert!(calls[2].is("OBJ_PIN") && !calls[2].is("OBJ_GET"));
    }

    #[test]
    fn of_the_same_steps_some_are_made() {
        let pin = |number: usize| Call { name: "bpf".into(), number, text: format!("bpf(BPF_OBJ_PIN, {number}) = 0") };
        let other = |number: usize| Call { text: format!("bpf(BPF_LINK_UPDATE, {number}) = 0"), ..pin(number) };
        let made = steps([1, 2, 3, 4].map(pin).into_iter().chain([5, 6].map(other)).chain([pin(7)]).collect());
        let numbers: Vec<_> = made.iter().map(|call| call.number).collect();
        assert!((2..=3).contains(&numbers[1]) && numbers[2..] == [4, 5, 6, 7] && numbers[0] == 1, "{numbers:?}");
    }
}
