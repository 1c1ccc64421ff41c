//! `cargo xtask fuzz`: looks for a frame, a history or a file that breaks what must hold, for as long as
//! it is told to. The short form of all of it is in `cargo xtask test`.

mod figures;
mod targets;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::checks::{After, Checks};
use crate::compile::{self, Built, Profile};
use crate::setup::{self, Purpose, Tools};
use crate::{paths, root, shell};

use self::figures::Figures;

/// The tests that run for a given time, and their share of the whole in hundredths. The targets have the rest.
const TESTS: [(&str, u64); 3] = [("kernel::differ", 15), ("e2e::oracle", 20), ("kernel::races", 5)];

/// The tests whose inputs the fuzzer begins with.
const TABLES: [&str; 7] = ["fuzz::", "cases::", "frames::", "gate::", "knocks::", "checksums::", "limits::"];

/// The verb.
pub fn verb(minutes: u64) -> Result<()> {
    root::require("fuzz", "to run frames through BPF programs and over a wire")?;
    let mut checks = Checks::new("fuzz", After::GoOn);
    let mut figures = Figures::default();
    let tools = setup::setup(Some(Purpose::Fuzz))?;
    let built = compile::build(&tools, Profile::Release)?;
    let share = |hundredths: u64| Duration::from_secs((minutes * 60 * hundredths / 100).max(1));

    checks.run("what to begin with", || corpus(&built));
    checks.run("targets", || fuzz(&tools, share(100 - TESTS.iter().map(|(_, part)| part).sum::<u64>()), &mut figures));
    for (test, part) in TESTS {
        checks.run(test, || {
            let mut cargo = built.lab_cargo("test");
            cargo.args(["--release", "--quiet", "--test", "it", "--", test]);
            cargo.env("KNOCK_SECONDS", share(part).as_secs().to_string()).env("KNOCK_SEED", fresh_seed()?);
            figures.read(&mut cargo)
        });
    }
    // The figures come last, whatever came of the checks.
    let outcome = checks.finish();
    println!("[fuzz] {figures}");
    outcome
}

/// The targets compile. The compiler of the host will do: only their sanitizer takes another.
pub fn check() -> Result<()> {
    shell::run(&mut targets::check())
}

/// Lets the tests of the host build write down what they begin with.
fn corpus(built: &Built) -> Result<()> {
    let mut cargo = built.lab_cargo("test");
    cargo.args(["--release", "--quiet", "--test", "host", "--"]).args(TABLES);
    shell::run(cargo.env("KNOCK_CORPUS", paths::fuzz().join("corpus")).env("KNOCK_INPUTS", "0"))
}

fn fuzz(tools: &Tools, time: Duration, figures: &mut Figures) -> Result<()> {
    targets::build(tools)?;
    targets::run(tools, time, figures)
}

/// Another one each time; a test that fails says which it was.
fn fresh_seed() -> Result<String> {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock is before 1970")?;
    Ok((since.as_secs() % 1_000_000_000).to_string())
}
