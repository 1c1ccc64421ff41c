//! Runs every test in a process and a sandbox of its own: none finds what another has left, one that ends the
//! process ends nothing else, and several run at once.
//!
//! This program runs itself once more for each of them, with the name of the test in its environment. A test that
//! fails where the machine may be the reason (see [`super::failure`]) is made once more, alone. If it passes then, it
//! counts as unstable; more than [`FORGIVEN`] of these are a failure.

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use clap::Parser;
use libtest_mimic::{Arguments, Failed};
use nix::unistd::geteuid;

use super::attempt::{self, Attempt, End, TEST};
use super::company::{Company, Seats, ordered};
use super::record::Record;
use super::{Test, inside};

/// So many tests of a run may fail and then pass alone.
const FORGIVEN: usize = 2;

/// Runs the tests that the arguments ask for, several at once for each CPU or, with `--test-threads`, for so many.
pub fn run(tests: Vec<Test>) -> ExitCode {
    if let Ok(name) = env::var(TEST) {
        return inside::run(&name, tests);
    }
    let Asked { mut arguments, more } = Asked::parse();
    if !arguments.list && !geteuid().is_root() {
        eprintln!("this takes root, for its network namespaces and BPF programs: run it with sudo");
        return ExitCode::FAILURE;
    }
    let cpus = arguments.test_threads.unwrap_or_else(Seats::cpus);
    arguments.test_threads = Some(if cpus == 1 { 1 } else { Seats::threads(cpus) });
    let shared = Arc::new(Shared::new(cpus));
    let tests = named(tests, &mut arguments, more);
    let tests = ordered(tests, cpus, |test| test.company).into_iter().map(|test| {
        let (shared, name) = (Arc::clone(&shared), test.name.clone());
        let run = move || shared.run(&name, test.company).map_err(|error| Failed::from(format!("{error:#}")));
        libtest_mimic::Trial::test(test.name, run).with_ignored_flag(test.is_ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, tests.collect());
    let is_steady = arguments.list || shared.conclude();
    if is_steady { conclusion.exit_code() } else { ExitCode::from(101) }
}

/// What this program is asked for.
#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    arguments: Arguments,
    /// More of these: a test runs that has one of the names
    #[arg(index = 2, value_name = "FILTER")]
    more: Vec<String>,
}

/// Leaves those that have one of several names; of one name alone, the harness says how many it has left out.
fn named(mut tests: Vec<Test>, arguments: &mut Arguments, mut more: Vec<String>) -> Vec<Test> {
    if more.is_empty() {
        return tests;
    }
    more.extend(arguments.filter.take());
    let is_meant = |name: &str| more.iter().any(|one| if arguments.exact { name == one } else { name.contains(one) });
    tests.retain(|test| is_meant(&test.name));
    tests
}

/// What those that run at once have in common.
struct Shared {
    places: Seats,
    record: Record,
    unstable: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
}

impl Shared {
    fn new(cpus: usize) -> Self {
        Self {
            places: Seats::new(cpus),
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

    /// Makes a test in a place that suits it, and prints what it said.
    fn attempt(&self, name: &str, company: Company) -> Result<Attempt> {
        let _place = self.places.take(company);
        let attempt = attempt::make(name)?;
        self.record.time(name, &attempt)?;
        if !attempt.text.is_empty() {
            println!("\n{name}:\n{}", attempt.text.trim_end());
        }
        Ok(attempt)
    }

    /// Says why tests failed, and which were unstable; false if those are too many.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn left(words: &[&str]) -> (Vec<String>, Option<String>) {
        let words = ["it"].iter().chain(words);
        let Asked { mut arguments, more } = Asked::try_parse_from(words).unwrap();
        let tests = ["e2e::hooks::a", "e2e::hooks::ab", "e2e::links::a"];
        let tests = tests.map(|name| Test::new(name, || Ok(()))).into();
        let left = named(tests, &mut arguments, more);
        (left.into_iter().map(|test| test.name).collect(), arguments.filter)
    }

    #[test]
    fn tests_with_one_of_several_names_are_run() {
        assert_eq!(left(&["links", "ab"]).0, ["e2e::hooks::ab", "e2e::links::a"]);
        assert_eq!(left(&["e2e::links::a", "e2e::hooks::a", "--exact"]).0, ["e2e::hooks::a", "e2e::links::a"]);
        assert_eq!(left(&["no", "such"]).0, [""; 0]);
    }

    #[test]
    fn one_name_is_left_to_the_harness() {
        assert_eq!(left(&["links", "--list"]), (left(&[]).0, Some("links".to_owned())));
    }
}
