//! The targets of cargo-fuzz, some at once on all CPUs.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::figures::Figures;
use crate::setup::{CARGO_FUZZ, Tools};
use crate::{compile, paths, shell, step};

/// A target, the longest input that is tried, and its share of the time.
struct Target {
    name: &'static str,
    longest: u32,
    weight: u64,
}

const TARGETS: [Target; 7] = [
    Target { name: "gate", longest: 2200, weight: 4 },
    Target { name: "history", longest: 4096, weight: 4 },
    Target { name: "packet", longest: 2200, weight: 3 },
    Target { name: "onetime", longest: 2000, weight: 1 },
    Target { name: "profile", longest: 4000, weight: 1 },
    Target { name: "config", longest: 6000, weight: 2 },
    Target { name: "import", longest: 6000, weight: 1 },
];

/// What cargo-fuzz found in one target.
struct Outcome {
    name: &'static str,
    inputs: u64,
    finding: Option<String>,
}

/// Builds all of them.
pub fn build(tools: &Tools) -> Result<()> {
    step::block("fuzz", "build the targets", || shell::run(&mut cargo_fuzz(tools, "build")))
}

/// Looks whether all of them compile, and builds nothing that could run.
pub fn check() -> Command {
    let target = paths::workspace().join("target/fuzz/check");
    let mut cargo = shell::cargo("check");
    cargo.args(["--bins", "--manifest-path"]).arg(paths::fuzz().join("Cargo.toml"));
    cargo.arg("--target-dir").arg(&target).env(compile::BUILD_DIR, paths::workspace().join("target"));
    // libFuzzer itself would take a compiler of C++. Nothing is linked, so nobody looks for this file.
    cargo.env("CUSTOM_LIBFUZZER_PATH", target.join("libfuzzer.a"));
    cargo
}

/// Runs all of them within `time`.
pub fn run(tools: &Tools, time: Duration, figures: &mut Figures) -> Result<()> {
    let waiting: Mutex<VecDeque<&Target>> = Mutex::new(TARGETS.iter().collect());
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let weights: u64 = TARGETS.iter().map(|target| target.weight).sum();
    let share = |target: &Target| (time.as_secs() * cpus * target.weight / weights).max(1);
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let outcomes: Vec<Result<Outcome>> = thread::scope(|scope| {
        let work = || std::iter::from_fn(next).map(|target| run_one(tools, target, share(target))).collect::<Vec<_>>();
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    let mut findings = Vec::new();
    for outcome in outcomes {
        let outcome = outcome?;
        figures.inputs.push((outcome.name, outcome.inputs));
        findings.extend(outcome.finding);
    }
    figures.crashes += findings.len();
    if findings.is_empty() { Ok(()) } else { bail!("{}", findings.join("\n")) }
}

fn run_one(tools: &Tools, target: &Target, seconds: u64) -> Result<Outcome> {
    let Target { name, longest, .. } = target;
    let log = log_of(name)?;
    let mut command = cargo_fuzz(tools, "run");
    command.arg(name).arg("--").arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}"));
    command.args(["-print_final_stats=1", "-timeout=60"]);
    let words = paths::fuzz().join(format!("{name}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command.stdout(file.try_clone()?).stderr(file).status().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let inputs = executed(&said);
    println!("[fuzz] {name}: {} inputs in {seconds} s", inputs.unwrap_or_default());
    let finding = (!status.success()).then(|| {
        let artifact =
            said.lines().rev().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path);
        format!("{name}: {}, see {}", artifact.unwrap_or("it ended badly"), log.display())
    });
    if inputs.is_none() && finding.is_none() {
        bail!("{name}: libFuzzer does not say how much it tried, see {}", log.display());
    }
    Ok(Outcome { name, inputs: inputs.unwrap_or_default(), finding })
}

/// How many inputs libFuzzer says that it has tried.
fn executed(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?.trim().parse().ok()
}

fn log_of(name: &str) -> Result<PathBuf> {
    let folder = paths::workspace().join("target/fuzz");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.join(name).with_extension("log"))
}

/// cargo-fuzz under the compiler of the BPF side, an unstable one. Debian's comes without sanitizers; the
/// assertions are there all the same.
fn cargo_fuzz(tools: &Tools, verb: &str) -> Command {
    let mut command = tools.toolchain.cargo("fuzz");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = CARGO_FUZZ.path().parent().map(PathBuf::from);
    if let Ok(path) = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))) {
        command.env("PATH", path);
    }
    command.args([verb, "--sanitizer", if tools.toolchain.rustup_name().is_some() { "address" } else { "none" }]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read() {
        let said = "INFO: Seed: 1\n#5 DONE\nstat::number_of_executed_units: 12345\nstat::peak_rss_mb: 3\n";
        assert_eq!(executed(said), Some(12345));
        assert_eq!(executed("INFO: Seed: 1\n"), None);
    }

    #[test]
    fn every_target_has_its_file() {
        for target in &TARGETS {
            let file = paths::fuzz().join("fuzz_targets").join(target.name).with_extension("rs");
            assert!(file.is_file(), "{}", file.display());
        }
        let files = fs::read_dir(paths::fuzz().join("fuzz_targets")).unwrap().count();
        assert_eq!(files, TARGETS.len());
    }
}
