//! `cargo xtask test --repeat N`: the same run again and again. What came of each is kept in `target/repeat`, so that
//! the same command goes on where it was interrupted.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::TestArgs;
use super::report::names_in;
use crate::{paths, shell};

/// Makes the runs that are still to be made, and says what came of all of them.
pub fn verb(args: &TestArgs, times: u32) -> Result<()> {
    let words = args.one_run();
    let folder = paths::workspace().join("target/repeat").join(slug(&words));
    if args.anew && folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let commit = commit()?;
    let mut runs = read(&folder)?;
    if runs.iter().any(|run| run.commit != commit) {
        println!("[repeat] the runs of another commit do not count: this is {commit}");
        runs.retain(|run| run.commit == commit);
    }
    for number in runs.len() + 1..=times as usize {
        println!("[repeat] run {number} of {times}: cargo xtask {}", words.join(" "));
        let run = make(&words, &commit, &folder, number)?;
        println!("[repeat] {run}");
        append(&folder, &run)?;
        runs.push(run);
    }
    conclude(&runs, &folder)
}

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    number: usize,
    commit: String,
    is_green: bool,
    seconds: u64,
    failed: Vec<String>,
    unstable: Vec<String>,
}

impl Run {
    /// One line of the file, which [`Run::parse`] reads.
    fn line(&self) -> String {
        let verdict = if self.is_green { "green" } else { "red" };
        let names = |names: &[String]| if names.is_empty() { "-".to_owned() } else { names.join(",") };
        let Self { number, commit, seconds, .. } = self;
        format!("{number} {commit} {verdict} {seconds} {} {}", names(&self.failed), names(&self.unstable))
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [number, commit, verdict, seconds, failed, unstable] = words[..] else { return None };
        let names = |text: &str| -> Vec<String> {
            if text == "-" { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
        };
        Some(Self {
            number: number.parse().ok()?,
            commit: commit.to_owned(),
            is_green: verdict == "green",
            seconds: seconds.parse().ok()?,
            failed: names(failed),
            unstable: names(unstable),
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_green { "green" } else { "RED" };
        write!(f, "run {}: {verdict} in {} s", self.number, self.seconds)?;
        for (what, names) in [("failed", &self.failed), ("unstable", &self.unstable)] {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Makes one run in a process of its own, and keeps its output and what it left of failures.
fn make(words: &[String], commit: &str, folder: &Path, number: usize) -> Result<Run> {
    let start = Instant::now();
    let mut command = shell::command(std::env::current_exe().context("this program")?);
    let status = shell::shown(command.args(words), &folder.join(format!("{number}.log")))?;
    let target = paths::workspace().join("target");
    let kept = folder.join(number.to_string());
    let (failures, logs) = (target.join("tests/failed"), target.join("unstable"));
    let run = Run {
        number,
        commit: commit.to_owned(),
        is_green: status.success(),
        seconds: start.elapsed().as_secs(),
        failed: names_in(&failures, ".txt"),
        unstable: names_in(&logs, ".first.log"),
    };
    for from in [failures, logs] {
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            fs::create_dir_all(&kept)?;
            fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
    }
    Ok(run)
}

/// Says what came of all runs; an error if one was red.
fn conclude(runs: &[Run], folder: &Path) -> Result<()> {
    for run in runs {
        println!("[repeat] {run}");
    }
    let red = runs.iter().filter(|run| !run.is_green).count();
    println!("[repeat] {} runs, {} green, {red} red; all of it in {}", runs.len(), runs.len() - red, folder.display());
    if red > 0 {
        bail!("test: {red} of {} runs were red", runs.len());
    }
    Ok(())
}

/// The file in which a line for each run stands.
fn file(folder: &Path) -> PathBuf {
    folder.join("runs")
}

fn read(folder: &Path) -> Result<Vec<Run>> {
    let path = file(folder);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    text.lines()
        .map(|line| {
            let broken = || format!("{}: not a line of a run: {line}: give --anew to forget all", path.display());
            Run::parse(line).with_context(broken)
        })
        .collect()
}

fn append(folder: &Path, run: &Run) -> Result<()> {
    let path = file(folder);
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = opened.with_context(|| path.display().to_string())?;
    Ok(writeln!(file, "{}", run.line())?)
}

/// A folder's name for the words of a run.
fn slug(words: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    words
        .join(" ")
        .chars()
        .map(plain)
        .collect::<String>()
        .split('-')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// The commit that is tested, with a sign if files differ from it.
fn commit() -> Result<String> {
    let git = |args: &[&str]| shell::read(shell::command("git").args(args).current_dir(paths::workspace()));
    let head = git(&["rev-parse", "--short", "HEAD"])?.trim().to_owned();
    let is_dirty = !git(&["status", "--porcelain"])?.trim().is_empty();
    Ok(if is_dirty { format!("{head}+changes") } else { head })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: usize, is_green: bool) -> Run {
        let failed = if is_green { Vec::new() } else { vec!["e2e.hooks.a".to_owned(), "gate.b".to_owned()] };
        Run { number, commit: "d1f15b6".to_owned(), is_green, seconds: 812, failed, unstable: Vec::new() }
    }

    #[test]
    fn what_came_of_a_run_is_read_as_it_was_written() {
        for run in [run(1, true), run(2, false)] {
            assert_eq!(Run::parse(&run.line()), Some(run));
        }
        assert_eq!(Run::parse("1 d1f15b6 green"), None);
    }

    #[test]
    fn runs_on_disk_are_counted_and_a_red_one_is_an_error() {
        let folder = std::env::temp_dir().join(format!("xtask-repeat-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(read(&folder).unwrap(), []);
        append(&folder, &run(1, true)).unwrap();
        assert!(conclude(&read(&folder).unwrap(), &folder).is_ok());
        append(&folder, &run(2, false)).unwrap();
        let runs = read(&folder).unwrap();
        assert_eq!(runs, [run(1, true), run(2, false)]);
        assert_eq!(conclude(&runs, &folder).unwrap_err().to_string(), "test: 1 of 2 runs were red");
        fs::write(file(&folder), "nonsense\n").unwrap();
        assert!(read(&folder).unwrap_err().to_string().contains("--anew"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_kind_of_run_has_its_folder() {
        let words = |line: &str| slug(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(words("test"), "test");
        assert_eq!(words("test --busy=2 -- e2e::hooks"), "test-busy-2-e2e-hooks");
    }
}
