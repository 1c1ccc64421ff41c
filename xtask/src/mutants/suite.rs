//! What must catch a mutant: tests that are built in the tree and run in stages, the quick ones first.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::heard::{self, Heard};
use super::table::Suite;
use super::tree::Tree;
use crate::compile::{self, HOST, OBJECT_VARIABLE, executable_in};
use crate::setup::Tools;
use crate::{paths, shell};

/// How the crates of the tree are built: with less for debuggers than by anything else, which is quicker, and tells
/// them apart from those of the workspace beside which they lie. Cargo does not: the paths within both are the same.
const LEAN: [&str; 8] = [
    "--config",
    "profile.dev.package.knock-common.debug='line-directives-only'",
    "--config",
    "profile.dev.package.knock-user.debug='line-directives-only'",
    "--config",
    "profile.dev.package.tests.debug='line-directives-only'",
    // No mutant is in it, and it is built again for each.
    "--config",
    "profile.dev.package.knock-user.opt-level=0",
];

/// The same, with as little work as it takes: for a build of which only a few tests are run.
const QUICKEST: [&str; 12] = [
    "--config",
    "profile.dev.package.knock-common.debug=false",
    "--config",
    "profile.dev.package.knock-user.debug=false",
    "--config",
    "profile.dev.package.tests.debug=false",
    "--config",
    "profile.dev.package.knock-common.opt-level=0",
    "--config",
    "profile.dev.package.knock-user.opt-level=0",
    "--config",
    "profile.dev.package.tests.opt-level=0",
];

/// How a tree is built.
#[derive(Clone, Copy)]
pub enum Build {
    /// To run all tests.
    Lean,
    /// To run a few.
    Quickest,
}

impl Build {
    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Lean => &LEAN,
            Self::Quickest => &QUICKEST,
        }
    }
}

/// Tests of the host build that go through thousands of frames.
const MANY: [&str; 2] = ["checksums::", "frames::"];
/// Those that go through tens of thousands of inputs.
const LONG: [&str; 4] = ["histories::", "fuzz::", "races::", "import::"];
/// All of these.
const SLOW: [&str; 6] = [MANY[0], MANY[1], LONG[0], LONG[1], LONG[2], LONG[3]];

/// A binary of tests, and which of them are run.
struct Stage {
    /// Its name, as cargo has it.
    binary: &'static str,
    /// What cargo is to build.
    build: &'static [&'static str],
    /// Only those with one of these in their name.
    filters: &'static [&'static str],
    /// None of those with one of these.
    skipped: &'static [&'static str],
}

impl Stage {
    const fn of(
        binary: &'static str,
        build: &'static [&'static str],
        filters: &'static [&'static str],
        skipped: &'static [&'static str],
    ) -> Self {
        Self { binary, build, filters, skipped }
    }
}

/// Each runs only if those before it have caught nothing: a survivor has come through all of them.
const HOST_STAGES: [Stage; 4] = [
    Stage::of("knock_common", &["--package", "knock-common", "--lib"], &[], &[]),
    Stage::of("host", &["--test", "host"], &[], &SLOW),
    Stage::of("host", &["--test", "host"], &MANY, &[]),
    Stage::of("host", &["--test", "host"], &LONG, &[]),
];

/// The binary of the tests that are asked for by name.
const ASKED: Stage = Stage::of("host", &["--test", "host"], &[], &[]);

/// Where nothing was measured, tests that take longer hang. The few take a second.
const PATIENCE: Duration = Duration::from_secs(300);

/// The frame tables, in memory and in the kernel at once; then answers, what takes sockets, and races on several CPUs.
const KERNEL_STAGES: [Stage; 5] = [
    Stage::of("kernel", &["--test", "kernel"], &[], &[]),
    // One filter each: the harness of `it` takes no more.
    Stage::of("it", &["--test", "it"], &["kernel::reject"], &[]),
    Stage::of("it", &["--test", "it"], &["kernel::sockets"], &[]),
    Stage::of("it", &["--test", "it"], &["kernel::once"], &[]),
    Stage::of("it", &["--test", "it"], &["kernel::races"], &[]),
];

/// What the tests say of a tree.
pub enum Outcome {
    /// These have failed.
    Caught(Vec<String>),
    /// None has.
    Survived,
    /// It does not compile; the end of what the compiler says.
    Broken(String),
    /// The test that is to see it is not there.
    NoTest(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        match self {
            Self::Caught(tests) if tests.len() > SHOWN => {
                write!(f, "caught by {} and {} more", tests[..SHOWN].join(", "), tests.len() - SHOWN)
            }
            Self::Caught(tests) => write!(f, "caught by {}", tests.join(", ")),
            Self::Survived => write!(f, "SURVIVED"),
            Self::Broken(_) => write!(f, "DOES NOT COMPILE"),
            Self::NoTest(name) => write!(f, "NO TEST {name}"),
        }
    }
}

/// The tests of a tree.
pub struct Suites<'a> {
    tree: &'a Tree,
    tools: Option<Tools>,
    /// How long the longest stage took.
    longest: Duration,
    /// How long a stage may take.
    limit: Option<Duration>,
}

impl<'a> Suites<'a> {
    /// The tests of this tree; tools, for the BPF side.
    pub fn new(tree: &'a Tree, tools: Option<Tools>) -> Self {
        Self { tree, tools, longest: Duration::ZERO, limit: None }
    }

    /// Shows that the untouched tree passes, and learns how long that takes.
    pub fn measure(&mut self, suite: Suite) -> Result<()> {
        self.limit = None;
        match self.judge(suite)? {
            Outcome::Survived => {
                self.limit = Some(self.longest * 5 + Duration::from_secs(30));
                Ok(())
            }
            Outcome::Caught(tests) => bail!("the untouched tree fails {}", tests.join(", ")),
            Outcome::Broken(text) => bail!("the untouched tree does not compile:\n{text}"),
            Outcome::NoTest(name) => bail!("the untouched tree has no test {name}"),
        }
    }

    /// Runs the suite on the tree as it is now.
    pub fn judge(&mut self, suite: Suite) -> Result<Outcome> {
        let (stages, object): (&[Stage], _) = match suite {
            Suite::Host => (&HOST_STAGES, None),
            Suite::Kernel => match self.bpf_object()? {
                Ok(object) => (&KERNEL_STAGES, Some(object)),
                Err(text) => return Ok(Outcome::Broken(text)),
            },
        };
        let mut built = None;
        for stage in stages {
            let binary = match built.take() {
                Some((name, binary)) if name == stage.binary => binary,
                _ => match self.build(stage, object.as_deref(), Build::Lean)? {
                    Ok(binary) => binary,
                    Err(text) => return Ok(Outcome::Broken(text)),
                },
            };
            let mut command = shell::command(&binary);
            command.current_dir(self.tree.root().join("tests"));
            command.args(stage.filters).args(stage.skipped.iter().flat_map(|name| ["--skip", name]));
            let caught = self.run(&mut command)?;
            if !caught.is_empty() {
                return Ok(Outcome::Caught(caught));
            }
            built = Some((stage.binary, binary));
        }
        Ok(Outcome::Survived)
    }

    /// Runs only these tests of the host on the tree as it is now, and says what is heard of each.
    pub fn ask(&self, build: Build, names: &[&str]) -> Result<Vec<Heard>> {
        let binary = match self.build(&ASKED, None, build)? {
            Ok(binary) => binary,
            Err(text) => bail!("the tree does not compile:\n{text}"),
        };
        let mut command = shell::command(&binary);
        command.current_dir(self.tree.root().join("tests")).args(names).arg("--exact");
        let limit = self.limit.unwrap_or(PATIENCE);
        let (status, text) = shell::captured(&mut command, &log("asked"), Some(limit))?;
        let status =
            status.with_context(|| format!("these tests have not ended in {limit:?}: {}", names.join(", ")))?;
        // The harness ends so; anything else has ended it.
        ensure!(matches!(status.code(), Some(0 | 101)), "these tests were cut off, {status}: {}", names.join(", "));
        Ok(names.iter().map(|name| heard::heard(&text, name)).collect())
    }

    /// Builds the binary of a stage; or the end of what the compiler says.
    fn build(&self, stage: &Stage, object: Option<&Path>, build: Build) -> Result<Result<PathBuf, String>> {
        let mut cargo = self.own(shell::cargo("test"));
        if let Some(object) = object {
            cargo.env(OBJECT_VARIABLE, object);
        }
        if !stage.build.contains(&"--package") {
            cargo.args(HOST);
        }
        cargo.args(build.flags()).args(stage.build).args(["--no-run", "--message-format=json-render-diagnostics"]);
        let (status, text) = shell::captured(&mut cargo, &log("build"), None)?;
        if !status.is_some_and(|status| status.success()) {
            return Ok(Err(shell::tail(&text, 12)));
        }
        let binary = text.lines().find_map(|line| executable_in(line, stage.binary));
        binary.map(Ok).with_context(|| format!("cargo names no file for the test {}", stage.binary))
    }

    /// A cargo command of the tree. What it puts out is the tree's; what it keeps is kept with that of the workspace,
    /// which has built the crates of others already. Its own are told apart by [how they are built](LEAN).
    fn own(&self, mut cargo: Command) -> Command {
        cargo.current_dir(self.tree.root());
        cargo.env("CARGO_TARGET_DIR", self.tree.root().join("target"));
        cargo.env(compile::BUILD_DIR, paths::workspace().join("target"));
        cargo
    }

    /// The BPF object of the tree, or the end of what the compiler says. Nothing of it lies beside that of the
    /// workspace: both are built in one way, and cargo would take the one with a bug for the other.
    fn bpf_object(&self) -> Result<Result<PathBuf, String>> {
        let tools = self.tools.as_ref().context("the set-up was for the kernel as well")?;
        let target = self.tree.root().join("target/bpf");
        let mut cargo = compile::bpf_cargo_to(&target, tools, "build", &[]);
        cargo.current_dir(self.tree.root()).env(compile::BUILD_DIR, &target);
        let (status, text) = shell::captured(&mut cargo, &log("bpf"), None)?;
        let is_built = status.is_some_and(|status| status.success());
        Ok(if is_built { Ok(compile::bpf_object_in(&target)) } else { Err(shell::tail(&text, 12)) })
    }

    /// Runs tests; the names of those that fail. What takes much longer than all of them ever did hangs.
    fn run(&mut self, command: &mut Command) -> Result<Vec<String>> {
        let start = Instant::now();
        let (status, text) = shell::captured(command, &log("tests"), self.limit)?;
        match status {
            Some(status) if status.success() => {
                self.longest = self.longest.max(start.elapsed());
                Ok(Vec::new())
            }
            None => Ok(vec![format!("the time limit of {} s", start.elapsed().as_secs())]),
            Some(status) => {
                let failed: Vec<_> = text.lines().filter_map(heard::failed).map(str::to_owned).collect();
                Ok(if failed.is_empty() { vec![format!("the end of the tests: {status}")] } else { failed })
            }
        }
    }
}

fn log(name: &str) -> PathBuf {
    paths::mutants().with_file_name(name).with_extension("log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_names_are_shown_than_one_reads() {
        let caught = |count| Outcome::Caught((1..=count).map(|number| format!("t{number}")).collect()).to_string();
        assert_eq!(caught(2), "caught by t1, t2");
        assert_eq!(caught(5), "caught by t1, t2, t3 and 2 more");
    }
}
