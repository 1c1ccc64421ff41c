//! `cargo xtask test`: first what is quick (unit and host tests, the frame tables in the kernel, one story), then the
//! rest: whole hosts in network namespaces, mutants, Miri, an older kernel, and the packages on a Debian of their own.
//! It ends at the first stage that fails.

mod busy;
mod plan;
mod repeat;
mod report;
mod touched;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::busy::Busy;
pub use self::plan::TestArgs;
use self::touched::Touched;
use crate::checks::{After, Checks};
use crate::compile::{self, Built, HOST, Profile};
use crate::dist::Packages;
use crate::setup::{self, Purpose, Tools, debian};
use crate::{changed, kernels, layers, paths, root, shell};

/// The story of `test --quick`: a gate that stands, is knocked at, lets in, and outlives its daemon.
const STORY: &str = "e2e::story::";

/// All tests of a binary.
const NONE: &[&str] = &[];

/// What `--quick` leaves out, in words.
const NOT_QUICK: [&str; 5] =
    ["kernel and end to end", "mutants", "Miri", "an older kernel", "packages: `cargo xtask test` runs them"];

/// The verb.
pub fn verb(args: &TestArgs) -> Result<()> {
    root::require("test", "to load BPF programs and to make network namespaces")?;
    if let Some(times) = args.repeat {
        return repeat::verb(args, times);
    }
    let _busy = Busy::start(args.busy)?;
    report::clear(args.args.is_empty() && args.changed.is_none())?;
    let after = if args.keep_going { After::GoOn } else { After::Stop };
    let mut checks = Checks::new("test", after);
    let outcome = match (&args.changed, &args.args[..]) {
        (Some(base), _) => of_change(&mut checks, base),
        (None, []) => all(&mut checks, args),
        (None, filters) => chosen(&mut checks, filters),
    };
    // The table first, then why it failed: the last screen of a red run is what matters.
    let finished = checks.finish();
    let reported = report::print(finished.is_ok() && outcome.is_ok());
    outcome.and(finished).and(reported)
}

/// All of it, or what is quick of it.
fn all(checks: &mut Checks, args: &TestArgs) -> Result<()> {
    let Some((tools, built)) = begin(checks) else { return Ok(()) };
    if args.quick {
        checks.run("one story", || report::watched(&mut built.tests("it", &[STORY]), "story"));
        NOT_QUICK.iter().for_each(|what| checks.leave_out(what));
        return Ok(());
    }
    let programs = kernels::Programs::of(built.clone())?;
    let mut old_kernel = itself(&["kernels", "--only", kernels::OLDEST, "--quick", "--built"])?;
    old_kernel.args(programs.words());
    let mut at_once = vec![
        ("an older kernel", old_kernel),
        ("mutants", itself(&["mutants", "--quick"])?),
        ("what later stages take", itself(&["prepare"])?),
    ];
    if setup::has_miri(&tools.toolchain)? {
        at_once.push(("Miri", itself(&["miri", "--quick"])?));
    } else {
        checks.leave_out("MIRI, which cannot be had here");
    }
    checks.beside(at_once);
    let skipped = without_devices(checks, &[]);
    checks.run("kernel and end to end", || end_to_end(&tools, &built, &skipped));
    checks.run("packages", || packages(&built, &[]));
    Ok(())
}

/// Only the tests of what differs from a revision.
fn of_change(checks: &mut Checks, base: &str) -> Result<()> {
    let files = changed::since(base)?;
    if files.is_empty() {
        println!("[test] no file differs from {base}: there is nothing to test");
        return Ok(());
    }
    let touched = Touched::by(&files, &layers::order()?, &layers::Groups::read()?);
    if !touched.unknown.is_empty() {
        println!("[test] all tests, since these are of no layer: {}", touched.unknown.join(", "));
    }
    let Some((tools, built)) = begin(checks) else { return Ok(()) };
    let groups: Vec<String> = touched.groups.iter().flatten().cloned().collect();
    if touched.groups.is_none() || !groups.is_empty() {
        let filters = [groups, without_devices(checks, &[])].concat();
        checks.run("kernel and end to end", || end_to_end(&tools, &built, &filters));
    }
    if touched.package {
        checks.run("packages", || packages(&built, &[]));
    }
    touched.left_out(base).iter().for_each(|what| checks.leave_out(what));
    Ok(())
}

/// What all runs without names of tests begin with: builds everything, and runs what is quick and needs no whole host.
/// `None` if it cannot be built.
fn begin(checks: &mut Checks) -> Option<(Tools, Built)> {
    let ready = checks.get("set-up and build", || {
        let tools = setup::setup(Some(Purpose::Test))?;
        let built = compile::build(&tools, Profile::Release)?;
        built.build_tests()?;
        Ok((tools, built))
    });
    let Some((tools, built)) = ready else {
        checks.leave_out("all other stages");
        return None;
    };
    checks.run("unit and host", || report::watched(&mut host(&built), "host"));
    checks.run("tables in the kernel", || report::watched(&mut built.tests("kernel", NONE), "kernel"));
    Some((tools, built))
}

/// Makes what takes its time and later stages find: `knockctl` of another layout, and a Debian for the packages. For
/// [`all`] alone, which has built the rest.
pub fn prepare() -> Result<()> {
    let tools = setup::setup(Some(Purpose::Test))?;
    compile::build(&tools, Profile::Release)?.next_knockctl(&tools)?;
    debian::root().map(drop)
}

/// Only the tests that are asked for by name.
fn chosen(checks: &mut Checks, filters: &[String]) -> Result<()> {
    let Some((tools, built, binaries)) = checks.get("set-up and build", || {
        let tools = setup::setup(Some(Purpose::Test))?;
        let built = compile::build(&tools, Profile::Release)?;
        let binaries = built.test_binaries(&compile::ROOT_TESTS)?;
        Ok((tools, built, binaries))
    }) else {
        return Ok(());
    };
    let mut is_any = false;
    for (binary, path) in compile::ROOT_TESTS.into_iter().zip(&binaries) {
        if !lists_any(path, filters)? {
            continue;
        }
        is_any = true;
        let of_it = if binary == "it" { without_devices(checks, filters) } else { Vec::new() };
        checks.run(binary, || match binary {
            "it" => end_to_end(&tools, &built, &of_it),
            "package" => packages(&built, filters),
            _ => report::watched(&mut tests(&built, binary, filters), binary),
        });
    }
    checks.leave_out("unit and host, mutants, Miri, an older kernel: they take no names of tests");
    if !is_any {
        bail!("test: no test is called so: `cargo xtask test -- --list` names them");
    }
    Ok(())
}

/// The tests that need no root. A plain `cargo test` runs the same: `kernel`, `it` and `package` have `test = false` in
/// their manifest.
fn host(built: &Built) -> Command {
    let mut cargo = built.cargo("test");
    cargo.args(HOST).arg("--no-fail-fast");
    cargo
}

/// Arguments for `it` that leave out the tests of devices that this kernel does not have, unless they are asked for by
/// name: then they fail, and say what is missing.
fn without_devices(checks: &mut Checks, filters: &[String]) -> Vec<String> {
    let mut args = filters.to_vec();
    let are_meant = filters.iter().any(|filter| filter.contains("devices") || filter == "--list");
    if !are_meant && let Some(why) = kernels::devices::obstacle() {
        checks.leave_out(&format!(
            "bonds and VLANs: {why} (one test of them is run on an older kernel): `cargo xtask kernels` runs all"
        ));
        args.extend(["--skip".to_owned(), kernels::devices::TESTS.to_owned()]);
    }
    args
}

fn tests(built: &Built, binary: &str, filters: &[String]) -> Command {
    built.tests(binary, filters)
}

fn end_to_end(tools: &Tools, built: &Built, filters: &[String]) -> Result<()> {
    let next = built.next_knockctl(tools)?;
    let mut cargo = tests(built, "it", filters);
    report::watched(cargo.env("KNOCKCTL_NEXT", next), "it")
}

/// Whether a test binary has any of these tests.
fn lists_any(binary: &Path, filters: &[String]) -> Result<bool> {
    let listed = shell::read(shell::command(binary).args(filters).arg("--list"))?;
    Ok(filters.iter().any(|filter| filter == "--list") || listed.lines().any(|line| line.ends_with(": test")))
}

/// Builds the packages and tries them on a Debian of its own.
fn packages(built: &Built, filters: &[String]) -> Result<()> {
    let packages = Packages::build(built)?;
    let mut cargo = tests(built, "package", filters);
    cargo
        .env("KNOCK_DEB", packages.deb)
        .env("KNOCK_DEB_NEXT", packages.next)
        .env("KNOCK_TARBALL", packages.tarball)
        .env("KNOCK_DEBIAN", debian::root()?);
    report::watched(&mut cargo, "package")
}

/// Another verb of this program, in a process of its own.
fn itself(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program")?);
    command.args(args).current_dir(paths::workspace());
    Ok(command)
}
