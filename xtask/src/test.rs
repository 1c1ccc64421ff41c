//! `cargo xtask test`: the unit tests of the host crates, then what needs root: BPF programs in this
//! kernel, whole hosts in network namespaces, and the packages on a Debian of its own.

use anyhow::Result;

use crate::checks::Checks;
use crate::compile::{self, BPF_PACKAGE, Built, Profile};
use crate::dist::Packages;
use crate::setup::{self, Purpose, debian};
use crate::{kernels, miri, mutants, root, shell};

/// The verb; the arguments are for the test binaries `kernel`, `it` and `package`.
pub fn verb(args: &[String]) -> Result<()> {
    root::require("test", "to load BPF programs and to make network namespaces")?;
    let mut checks = Checks::new("test");
    let tools = setup::setup(Some(Purpose::Test))?;
    let built = compile::build(&tools, Profile::Release)?;
    let next = built.next_knockctl(&tools)?;

    // All but `kernel`, `it` and `package`, which have `test = false` in their manifest: a plain `cargo test`
    // needs no root.
    checks.run("host", || {
        let mut cargo = built.cargo("test");
        shell::run(cargo.args(["--workspace", "--exclude", BPF_PACKAGE, "--no-fail-fast"]))
    });
    miri::check(&mut checks, &tools)?;
    checks.run("mutants", mutants::quick);
    checks.run("kernel and end to end", || {
        let mut cargo = built.lab_cargo("test");
        cargo.env("KNOCKCTL_NEXT", &next);
        cargo.args(["--release", "--no-fail-fast", "--test", "kernel", "--test", "it", "--"]);
        shell::run(cargo.args(args))
    });
    if args.is_empty() {
        let name = format!("on Linux {}", kernels::OLDEST.version);
        checks.run(&name, || kernels::layer(kernels::OLDEST, &built, &[], kernels::QUICK));
    }
    checks.run("packages", || packages(&built, args));
    checks.finish()
}

/// Builds the packages and tries them on a Debian of its own, if any of these trials are asked for.
fn packages(built: &Built, args: &[String]) -> Result<()> {
    let trials = |more: &[&str]| {
        let mut cargo = built.lab_cargo("test");
        cargo.args(["--release", "--quiet", "--test", "package", "--"]).args(args).args(more);
        cargo
    };
    if shell::read(&mut trials(&["--list"]))?.trim().is_empty() {
        println!("[test] no trial of packages is asked for");
        return Ok(());
    }
    let packages = Packages::build(built)?;
    let mut cargo = trials(&[]);
    cargo
        .env("KNOCK_DEB", packages.deb)
        .env("KNOCK_DEB_NEXT", packages.next)
        .env("KNOCK_TARBALL", packages.tarball)
        .env("KNOCK_DEBIAN", debian::root()?);
    shell::run(&mut cargo)
}
