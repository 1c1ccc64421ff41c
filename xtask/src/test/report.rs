//! What a run of the tests says at its end: the slowest tests, and for a red run what failed, why, and the command
//! that repeats it alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, shell};

/// How many of the slowest tests are named.
const SLOWEST: usize = 20;
/// So many tests of a run may fail and then pass alone, over all test binaries.
const FORGIVEN: usize = 2;
/// How many lines of a failure are shown.
const SHOWN: usize = 40;

/// What the tests leave: see `tests/src/harness/record.rs`.
fn tests() -> PathBuf {
    paths::workspace().join("target/tests")
}

/// Both logs of each test that failed and passed alone.
fn unstable() -> PathBuf {
    paths::workspace().join("target/unstable")
}

/// Where the output of a stage is kept.
fn log(name: &str) -> PathBuf {
    tests().join(name).with_extension("log")
}

/// Takes away what an earlier run has left. The logs of unstable tests go only with the next run of everything: what
/// repeats one of them alone must not take them away.
pub fn clear(is_everything: bool) -> Result<()> {
    let folders = if is_everything { vec![tests(), unstable()] } else { vec![tests()] };
    for folder in folders {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
    }
    Ok(())
}

/// Runs tests, shows what they print and keeps it. What fails of Rust's own tests is noted for the end.
pub fn watched(command: &mut Command, name: &str) -> Result<()> {
    let log = log(name);
    let status = shell::shown(command, &log)?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let failures = failures(&text);
    // Tests have noted their own failures. What died otherwise, or was not built, is told by its last lines.
    if failures.is_empty() && names_in(&tests().join("failed"), ".txt").is_empty() {
        note(name, &format!("{name}\n{}\n\nthis stage alone: {}\n", shell::tail(&text, 30), shell::display(command)))?;
    }
    for (test, why) in failures {
        let repeat = repeat_line(name, &test);
        note(&test, &format!("{test}\n{why}\n\nthis test alone: {repeat}\n"))?;
    }
    bail!("`{}`: {status}", shell::display(command))
}

/// The command that repeats a test of Rust's own harness alone.
fn repeat_line(stage: &str, test: &str) -> String {
    match stage {
        "host" => format!("cargo test --workspace --exclude knock-ebpf {test} -- --exact"),
        _ => format!("cargo xtask test -- {test} --exact"),
    }
}

fn note(test: &str, text: &str) -> Result<()> {
    let file = tests().join("failed").join(file_name(test));
    // A test has noted its own failure, with the log of its daemon.
    if file.exists() {
        return Ok(());
    }
    fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
    fs::write(&file, text).with_context(|| file.display().to_string())
}

/// The file in which a test's failure is noted.
fn file_name(test: &str) -> String {
    format!("{}.txt", test.replace("::", ".").replace(['/', ' '], "_"))
}

/// The tests that failed, and what each of them said, in the output of Rust's own harness.
fn failures(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(test) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) else {
            continue;
        };
        let mut said = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("---- ") && *line != "failures:") {
            said.push(line);
        }
        let why = said.join("\n");
        let why = why.split("\nstack backtrace:").next().unwrap_or_default();
        found.push((test.to_owned(), why.trim().to_owned()));
    }
    found
}

/// Prints the slowest tests, those that were unstable, and, last, what failed. An error if too many were unstable.
pub fn print(is_green: bool) -> Result<()> {
    let times = fs::read_to_string(tests().join("times")).unwrap_or_default();
    print!("{}", slowest(&times));
    let unstable = names_in(&unstable(), ".first.log");
    if !is_green {
        print_failures();
    }
    let count = unstable.len();
    if count > 0 {
        println!("[test] {count} unstable, passed alone: {}; logs in target/unstable", unstable.join(", "));
    }
    if count > FORGIVEN {
        bail!("test: {count} tests failed and passed alone, more than {FORGIVEN} are red");
    }
    Ok(())
}

fn print_failures() {
    for name in names_in(&tests().join("failed"), ".txt") {
        let text = fs::read_to_string(tests().join("failed").join(format!("{name}.txt"))).unwrap_or_default();
        let lines: Vec<&str> = text.trim_end().lines().collect();
        println!("\nFAILED {}", excerpt(&lines).join("\n"));
    }
    println!();
}

/// The beginning and the end of a text that is too long.
fn excerpt<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    if lines.len() <= SHOWN {
        return lines.to_vec();
    }
    let half = SHOWN / 2;
    [&lines[..half], &["..."], &lines[lines.len() - half..]].concat()
}

/// The files of a folder whose names end so, without that, sorted.
pub fn names_in(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(ending)?.to_owned())).collect();
    names.sort();
    names
}

/// The slowest tests with their share of the time of all, from the lines that they have left.
fn slowest(times: &str) -> String {
    let parse = |line: &'_ str| -> Option<(f64, f64, String)> {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let [seconds, cpu, name] = words[..] else { return None };
        Some((seconds.parse().ok()?, cpu.parse().ok()?, name.to_owned()))
    };
    let mut times: Vec<_> = times.lines().filter_map(parse).collect();
    let all: f64 = times.iter().map(|(seconds, ..)| seconds).sum();
    let cpu: f64 = times.iter().map(|(_, cpu, _)| cpu).sum();
    times.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut text = String::new();
    if times.len() > 1 {
        text += &format!("[test] {} tests took {all:.0} s one by one, {cpu:.0} s of CPU time, of these\n", times.len());
        for (seconds, cpu, name) in times.iter().take(SLOWEST) {
            let share = 100.0 * seconds / all.max(f64::EPSILON);
            text += &format!("[test] {seconds:7.1} s {share:3.0} % {cpu:7.1} s of CPU {name}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rusts_harness_says_of_a_failure_is_found() {
        let text = "running 2 tests\ntest a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\n\nthread 'a::b' \
                    panicked at x.rs:1:1:\nno grant\nstack backtrace:\n  0: much\n\n---- a::c stdout ----\nlost\n\nfailures:\n    a::b\n    a::c\n";
        let found = failures(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0, "a::b");
        assert!(found[0].1.ends_with("panicked at x.rs:1:1:\nno grant"), "{}", found[0].1);
        assert_eq!(found[1], ("a::c".to_owned(), "lost".to_owned()));
    }

    #[test]
    fn two_tests_of_one_module_have_a_file_each() {
        assert_eq!(file_name("gate::a_b"), "gate.a_b.txt");
        assert_ne!(file_name("gate::a_b"), file_name("gate::a_c"));
        assert_eq!(file_name("src/lib.rs - a (line 3)"), "src_lib.rs_-_a_(line_3).txt");
    }

    #[test]
    fn the_slowest_come_first_with_their_share() {
        let text = slowest("1.00 0.50 a::one\n3.00 0.25 a::two\nnonsense\n");
        assert_eq!(
            text,
            "[test] 2 tests took 4 s one by one, 1 s of CPU time, of these\n\
             [test]     3.0 s  75 %     0.2 s of CPU a::two\n\
             [test]     1.0 s  25 %     0.5 s of CPU a::one\n"
        );
        assert_eq!(slowest("1.00 0.50 a::one\n"), "");
    }

    #[test]
    fn a_long_text_is_shown_by_its_beginning_and_its_end() {
        let lines: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let shown = excerpt(&lines);
        assert_eq!((shown[0], shown[SHOWN / 2], shown[SHOWN]), ("0", "...", "99"));
        assert_eq!(excerpt(&lines[..SHOWN]), &lines[..SHOWN]);
    }
}
