//! `cargo xtask kernels`: the kernel layer of the tests, and whole hosts with bonds and VLANs, on the kernels of other
//! Debian releases, each booted in an emulator over this host's file tree. Nothing of them is installed.

mod debs;
pub mod devices;
mod emulator;
mod fetch;
mod guest;
mod image;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::checks::{After, Checks};
use crate::compile::{self, Built, Profile};
use crate::pins::KERNELS;
use crate::setup::{self, Purpose};
use crate::{root, shell};
use emulator::Emulator;
use fetch::Kernel;
use guest::Guest;

/// All of them, the oldest first.
fn all() -> impl Iterator<Item = Kernel> {
    KERNELS.into_iter().map(|(version, suite)| Kernel { version, suite })
}

/// The oldest that can be had of those that are promised: `cargo xtask test` boots it.
pub const OLDEST: &str = KERNELS[0].0;

/// Random histories that a program has to agree on with the model: an emulator is slow, and what differs
/// between kernels is the verifier and the helpers.
const HISTORIES: &str = "200";

/// How many times longer a wait may take there.
const PATIENCE: &str = "10";

/// What is run in a guest.
pub struct Programs {
    /// `knockctl`.
    pub knockctl: PathBuf,
    /// The BPF object.
    pub object: PathBuf,
    /// The test binaries `kernel` and `it`.
    pub tests: Vec<PathBuf>,
}

impl Programs {
    /// Builds them.
    fn build() -> Result<Self> {
        let tools = setup::setup(Some(Purpose::Kernels))?;
        Self::of(compile::build(&tools, Profile::Release)?)
    }

    /// Those of a build, with the test binaries built if they are not there.
    pub fn of(built: Built) -> Result<Self> {
        let tests = built.test_binaries(&["kernel", "it"])?;
        Ok(Self { knockctl: built.knockctl, object: built.object, tests })
    }

    /// The same as words of a command line, for [`Programs::from_words`].
    pub fn words(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.knockctl, &self.object].into_iter().chain(&self.tests)
    }

    /// Those that somebody else has built, so that nothing waits here for a build that goes on meanwhile.
    fn from_words(words: &[PathBuf]) -> Result<Self> {
        let [knockctl, object, kernel, it] = words else { bail!("kernels: --built takes four paths") };
        let tests = vec![kernel.clone(), it.clone()];
        Ok(Self { knockctl: knockctl.clone(), object: object.clone(), tests })
    }
}

/// The verb, or the part of it that `test` runs, with what it has built; the arguments are for the test binaries `kernel` and `it`.
pub fn verb(only: Option<&str>, is_quick: bool, built: &[PathBuf], args: &[String]) -> Result<()> {
    root::require("kernels", "to share the file tree of this host with an emulator, and for apt")?;
    let chosen: Vec<_> = all().filter(|one| only.is_none_or(|only| only == one.version)).collect();
    if chosen.is_empty() {
        let there = KERNELS.map(|(version, _)| version).join(", ");
        bail!("kernels: there is no {}: choose of {there}", only.unwrap_or_default());
    }
    let programs = if built.is_empty() { Programs::build()? } else { Programs::from_words(built)? };
    let mut checks = Checks::new("kernels", After::GoOn);
    for kernel in chosen {
        checks.run(&format!("Linux {}", kernel.version), || {
            layer(kernel, &programs, args, if is_quick { QUICK } else { ALL })
        });
    }
    checks.finish()
}

/// A part of the kernel layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    /// Of the frame tables: names begin so; all of them, if there are none.
    tables: &'static [&'static str],
    /// Of the tests of `it`: those with each of these in their names, one after the other.
    tests: &'static [&'static str],
}

/// What an emulator has time for in `cargo xtask test`: it takes ten seconds to verify the programs of a table.
const QUICK: Part = Part {
    tables: &["cases::", "gate::", "knocks::the_"],
    tests: &["kernel::sockets", "devices::stacked::a_vlan_on_a_bond_is_gated_on_the_bond"],
};

/// All that needs a kernel alone, and devices that not every kernel has.
const ALL: Part = Part { tables: &[], tests: &["kernel::", devices::TESTS] };

/// Runs a part on a kernel: the frame tables and some tests of `it`, or what `args` choose of both.
fn layer(kernel: Kernel, programs: &Programs, args: &[String], part: Part) -> Result<()> {
    let (emulator, files) = (Emulator::get()?, fetch::fetch(kernel)?);
    let mut guest = Guest::new(&emulator, &files);
    guest.variable("KNOCKCTL", &programs.knockctl).variable("KNOCK_BPF_OBJECT", &programs.object);
    guest.variable("KNOCK_HISTORIES", HISTORIES).variable("KNOCK_PATIENCE", PATIENCE);
    let [tables, it] = &programs.tests[..] else { bail!("kernels: there are two test binaries") };
    if args.is_empty() {
        guest.run(shell::command(tables).args(part.tables));
        for name in part.tests {
            guest.run(shell::command(it).arg(name));
        }
    } else {
        for test in [tables, it] {
            guest.run(shell::command(test).args(args));
        }
    }
    guest.boot()
}
