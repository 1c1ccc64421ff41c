//! Runs every trial in a process and a sandbox of its own: none finds what another has left, one that ends the
//! process ends nothing else, and several run at once.
//!
//! This program runs itself once more for each of them, with the name of the trial in its environment. A trial that
//! fails where the machine may be the reason (see [`super::failure`]) is made once more, alone. If it passes then, it
//! counts as unstable; more than [`FORGIVEN`] of these are a failure.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed};
use nix::unistd::geteuid;

use super::attempt::{self, Attempt, End, TRIAL};
use super::company::{Company, Places, ordered};
use super::record::Record;
use super::{Trial, inside};

/// So many trials of a run may fail and then pass alone.
const FORGIVEN: usize = 2;

/// Runs the trials that the arguments ask for, several at once for each CPU or, with `--test-threads`, for so many.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    if let Ok(name) = env::var(TRIAL) {
        return inside::run(&name, trials);
    }
    let mut arguments = Arguments::from_args();
    if !arguments.list && !geteuid().is_root() {
        eprintln!("this takes root, for its network namespaces and BPF programs: run it with sudo");
        return ExitCode::FAILURE;
    }
    let cpus = arguments.test_threads.unwrap_or_else(Places::cpus);
    arguments.test_threads = Some(if cpus == 1 { 1 } else { Places::threads(cpus) });
    let shared = Arc::new(Shared::new(cpus));
    let trials = ordered(trials, cpus, |trial| trial.company).into_iter().map(|trial| {
        let (shared, name) = (Arc::clone(&shared), trial.name.clone());
        let run = move || shared.run(&name, trial.company).map_err(|error| Failed::from(format!("{error:#}")));
        libtest_mimic::Trial::test(trial.name, run).with_ignored_flag(trial.is_ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    let is_steady = arguments.list || shared.conclude();
    if is_steady { conclusion.exit_code() } else { ExitCode::from(101) }
}

/// What those that run at once have in common.
struct Shared {
    places: Places,
    record: Record,
    unstable: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

impl Shared {
    fn new(cpus: usize) -> Self {
        Self {
            places: Places::new(cpus),
            record: Record::of_workspace(),
            unstable: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    fn run(&self, name: &str, company: Company) -> Result<()> {
        let first = self.attempt(name, company)?;
        let last = match first.end {
            End::Passed => return Ok(()),
            End::Broken => first,
            End::Unstable => {
                println!("\n{name}: failed where the machine may be the reason: once more, alone");
                let second = self.attempt(name, Company::Only)?;
                if second.end == End::Passed {
                    self.record.unstable(name, &first, &second)?;
                    lock(&self.unstable).push(name.to_owned());
                    return Ok(());
                }
                second
            }
        };
        lock(&self.failed).push(self.record.failed(name, &last)?);
        bail!("{}", last.text.trim_end())
    }

    /// Makes a trial in a place that suits it, and prints what it said.
    fn attempt(&self, name: &str, company: Company) -> Result<Attempt> {
        let _place = self.places.take(company);
        let attempt = attempt::make(name)?;
        self.record.time(name, &attempt)?;
        if !attempt.text.is_empty() {
            println!("\n{name}:\n{}", attempt.text.trim_end());
        }
        Ok(attempt)
    }

    /// Says why trials failed, and which were unstable; false if those are too many.
    fn conclude(&self) -> bool {
        let (failed, unstable) = (lock(&self.failed), lock(&self.unstable));
        for text in failed.iter() {
            println!("FAILED {text}");
        }
        let is_steady = unstable.len() <= FORGIVEN;
        if !unstable.is_empty() {
            let verdict = if is_steady { "forgiven" } else { "too many" };
            println!("{} unstable ({verdict}), logs in target/unstable: {}", unstable.len(), unstable.join(", "));
        }
        is_steady
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
