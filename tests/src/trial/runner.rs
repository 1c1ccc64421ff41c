//! Runs every trial in a process and a sandbox of its own: none finds what another has left, one that ends the
//! process ends nothing else, and several run at once.
//!
//! This program runs itself once more for each of them, with the name of the trial in its environment.

use std::io::{self, Read as _};
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, anyhow, ensure};
use libtest_mimic::{Arguments, Failed};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{geteuid, getppid};

use super::Trial;
use crate::lab::sandbox;

/// The trial that this process is for.
const TRIAL: &str = "KNOCK_TRIAL";
/// The process id of who asked for it.
const ASKED_BY: &str = "KNOCK_TRIAL_ASKED_BY";

/// A trial that takes longer than this and twice the time that it was given hangs.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Of how many the time is told at the end.
const LONGEST: usize = 12;

/// Runs the trials that the arguments ask for, as many at once as there are CPUs.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    if let Ok(name) = env::var(TRIAL) {
        return within(&name, trials);
    }
    let mut arguments = Arguments::from_args();
    if !arguments.list && !geteuid().is_root() {
        eprintln!("this takes root, for its network namespaces and BPF programs: run it with sudo");
        return ExitCode::FAILURE;
    }
    arguments.test_threads.get_or_insert_with(|| thread::available_parallelism().map_or(1, Into::into));
    let shared = Arc::new(Shared::default());
    let trials = trials.into_iter().map(|trial| {
        let (shared, name) = (Arc::clone(&shared), trial.name.clone());
        let run = move || shared.run(&name, trial.is_alone).map_err(|error| Failed::from(format!("{error:#}")));
        libtest_mimic::Trial::test(trial.name, run).with_ignored_flag(trial.is_ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    shared.print_longest();
    conclusion.exit_code()
}

/// This program, asked for one trial.
///
/// # Errors
///
/// If this program cannot be found.
pub fn itself(trial: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env_remove(sandbox::STAGE).env(TRIAL, trial).env(ASKED_BY, process::id().to_string());
    Ok(command)
}

/// Goes into a sandbox and makes a trial. Its exit code is that of Rust's own tests.
fn within(name: &str, trials: Vec<Trial>) -> ExitCode {
    let outcome = enter().and_then(|()| {
        let trial = trials.into_iter().find(|trial| trial.name == name);
        (trial.with_context(|| format!("there is no trial {name}"))?.test)()
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::from(101)
        }
    }
}

fn enter() -> Result<()> {
    if env::var_os(sandbox::STAGE).is_none() {
        // Who asked may end before the sandbox does.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        let asked_by = env::var(ASKED_BY).context(ASKED_BY)?;
        ensure!(asked_by == getppid().to_string(), "the program that asked for the trial has ended");
    }
    sandbox::enter()
}

/// What those that run at once have in common.
#[derive(Default)]
struct Shared {
    /// Read by those that have neighbours, written by one that has none.
    neighbours: RwLock<()>,
    times: Mutex<Vec<(Duration, String)>>,
}

impl Shared {
    fn run(&self, name: &str, is_alone: bool) -> Result<()> {
        let _alone = is_alone.then(|| self.neighbours.write().unwrap_or_else(PoisonError::into_inner));
        let _beside = (!is_alone).then(|| self.neighbours.read().unwrap_or_else(PoisonError::into_inner));
        let start = Instant::now();
        let (outcome, said) = attempt(name)?;
        self.times.lock().unwrap_or_else(PoisonError::into_inner).push((start.elapsed(), name.to_owned()));
        if !said.is_empty() {
            println!("\n{name}:\n{}", said.trim_end());
        }
        outcome
    }

    fn print_longest(&self) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() < LONGEST {
            return;
        }
        times.sort();
        let all: Duration = times.iter().map(|(time, _)| time).sum();
        println!("{} trials took {:.0} s one by one, of these", times.len(), all.as_secs_f64());
        for (time, name) in times.iter().rev().take(LONGEST) {
            println!("{:6.1} s {name}", time.as_secs_f64());
        }
    }
}

/// How long a trial may take. Some go on for as many seconds as the environment says.
fn limit() -> Duration {
    let seconds = env::var("KNOCK_SECONDS").ok().and_then(|text| text.parse().ok());
    LIMIT + 2 * Duration::from_secs(seconds.unwrap_or(0))
}

/// Runs a trial: how it ended, and what it said.
fn attempt(name: &str) -> Result<(Result<()>, String)> {
    let (mut output, input) = io::pipe()?;
    let mut command = itself(name)?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn()?;
    // It holds the other end of the pipe.
    drop(command);
    // Whoever else holds it ends with the sandbox.
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let start = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if start.elapsed() > limit() => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    };
    let said = reader.join().unwrap_or_default();
    let outcome = match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(anyhow!("{status}\n{said}")),
        None => Err(anyhow!("ended after {} s\n{said}", start.elapsed().as_secs())),
    };
    Ok((outcome, said))
}
