//! `cargo xtask kernels`: the kernel layer of the tests on the kernels of other Debian releases, each booted
//! in an emulator over this host's file tree. Nothing of them is installed.

mod debs;
mod emulator;
mod fetch;
mod guest;
mod image;

use anyhow::{Result, bail};

use crate::checks::Checks;
use crate::compile::{self, Built, Profile};
use crate::setup::{self, Purpose};
use crate::{root, shell};
use emulator::Emulator;
use guest::Guest;

/// A kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// How its version begins.
    pub version: &'static str,
    /// The Debian release that has it.
    suite: &'static str,
}

/// The oldest that can be had of those that are promised, which `cargo xtask test` boots.
pub const OLDEST: Kernel = Kernel { version: "6.1", suite: "bookworm" };

/// All of them.
const KERNELS: [Kernel; 2] = [OLDEST, Kernel { version: "6.12", suite: "trixie" }];

/// Random histories that a program has to agree on with the model: an emulator is slow, and what differs
/// between kernels is the verifier and the helpers.
const HISTORIES: &str = "200";

/// The verb; the arguments are for the test binaries `kernel` and `it`.
pub fn verb(only: Option<&str>, args: &[String]) -> Result<()> {
    root::require("kernels", "to share the file tree of this host with an emulator, and for apt")?;
    let chosen: Vec<_> = KERNELS.into_iter().filter(|one| only.is_none_or(|only| only == one.version)).collect();
    if chosen.is_empty() {
        let there = KERNELS.map(|one| one.version).join(", ");
        bail!("kernels: there is no {}: choose of {there}", only.unwrap_or_default());
    }
    let tools = setup::setup(Some(Purpose::Kernels))?;
    let built = compile::build(&tools, Profile::Release)?;
    let mut checks = Checks::new("kernels");
    for kernel in chosen {
        checks.run(&format!("Linux {}", kernel.version), || layer(kernel, &built, args, ALL));
    }
    checks.finish()
}

/// A part of the kernel layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Of the frame tables: names begin so; all of them, if there are none.
    tables: &'static [&'static str],
    /// Of the trials of `it`.
    trials: &'static str,
}

/// What an emulator has time for in `cargo xtask test`: it takes ten seconds to verify the programs of a table.
pub const QUICK: Part = Part { tables: &["cases::", "gate::", "knocks::the_"], trials: "kernel::sockets" };

/// All that needs a kernel alone.
const ALL: Part = Part { tables: &[], trials: "kernel::" };

/// Runs the kernel layer on a kernel: the frame tables and some trials of `it`, or what `args` choose of both.
pub fn layer(kernel: Kernel, built: &Built, args: &[String], part: Part) -> Result<()> {
    let (emulator, files) = (Emulator::get()?, fetch::fetch(kernel)?);
    let tests = built.lab_tests(&["kernel", "it"])?;
    let mut guest = Guest::new(&emulator, &files);
    guest.variable("KNOCKCTL", &built.knockctl).variable("KNOCK_BPF_OBJECT", &built.object);
    guest.variable("KNOCK_HISTORIES", HISTORIES);
    for test in &tests {
        let mut command = shell::command(test);
        match args {
            [] if test == &tests[1] => drop(command.arg(part.trials)),
            [] => drop(command.args(part.tables)),
            _ => drop(command.args(args)),
        }
        guest.run(&command);
    }
    guest.boot()
}
