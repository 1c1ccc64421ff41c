//! `cargo xtask build`: the BPF object first, then `knockctl` with the object inside.

use std::env::consts::ARCH;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::setup::{self, Purpose, Tools};
use crate::{paths, shell, step};

/// The package of the BPF side.
pub const BPF_PACKAGE: &str = "knock-ebpf";

/// The target of the BPF side: a map is read in the byte order of its host.
const BPF_TARGET: &str = if cfg!(target_endian = "little") { "bpfel-unknown-none" } else { "bpfeb-unknown-none" };

/// All packages of the host. They are always built together: of a package alone, cargo would build other features of
/// the crates that it shares with the others.
pub const HOST: [&str; 3] = ["--workspace", "--exclude", BPF_PACKAGE];

/// The test binaries that need root.
pub const ROOT_TESTS: [&str; 3] = ["kernel", "it", "package"];

/// Where cargo keeps what it does not put out.
pub const BUILD_DIR: &str = "CARGO_BUILD_BUILD_DIR";

/// Tells the build script of knock-user which object to put into `knockctl`.
pub const OBJECT_VARIABLE: &str = "KNOCK_BPF_OBJECT";

/// The profile of a host build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// As it is shipped.
    Release,
}

/// The verb.
pub fn verb(release: bool) -> Result<()> {
    let profile = match release {
        true => Profile::Release,
        false => Profile::Dev,
    };
    let built = build(&setup::setup(Some(Purpose::Build))?, profile)?;
    println!("[build] {}", built.object.display());
    println!("[build] {}", built.knockctl.display());
    Ok(())
}

/// The two halves of the gate.
#[derive(Clone, Debug)]
pub struct Built {
    /// The BPF object.
    pub object: PathBuf,
    /// The program, with the object inside.
    pub knockctl: PathBuf,
}

impl Built {
    /// A cargo command of the host that finds both halves.
    pub fn cargo(&self, verb: &str) -> Command {
        let mut command = host_cargo(verb, &self.object);
        command.env("KNOCKCTL", &self.knockctl);
        command
    }

    /// Builds `knockctl` once more, statically linked. With glibc: it needs no toolchain beside the
    /// one that is there, and `main` keeps its name look-ups to what is linked in.
    pub fn static_knockctl(&self, to: &Path) -> Result<()> {
        // The flag is for linking alone: what is compiled serves both.
        let mut cargo = host_cargo("rustc", &self.object);
        cargo.args(["--package", "knock-user"]);
        let linked = executable(cargo, "knockctl", Profile::Release, &["-Ctarget-feature=+crt-static"])?;
        fs::copy(&linked, to).with_context(|| to.display().to_string())?;
        // It took the other's place: that one goes back.
        knockctl(&self.object, Profile::Release).map(drop)
    }

    /// Builds a `knockctl` of a version that does not exist, whose maps are laid out otherwise: for the tests of an
    /// upgrade. As the tests are built, so that the crates of others are built once for both.
    pub fn next_knockctl(&self, tools: &Tools) -> Result<PathBuf> {
        let target = paths::next();
        step::block("build", "knockctl of another layout", || {
            let bpf = target.join("bpf");
            // Cargo keeps core and other crates apart from what it puts out, and builds them once for both.
            let mut cargo = bpf_cargo_to(&bpf, tools, "build", &[]);
            shell::run(cargo.args(["--features", "layout-next"]).env(BUILD_DIR, paths::bpf_target()))?;
            let mut cargo = host_cargo("build", &bpf_object_in(&bpf));
            cargo.args(HOST).args(["--features", "knock-user/layout-next"]);
            cargo.env("CARGO_TARGET_DIR", &target).env(BUILD_DIR, paths::workspace().join("target"));
            executable(cargo, "knockctl", Profile::Dev, &[])
        })
    }

    /// Builds every test binary. All are built in one way, so that what is built for one serves the others.
    pub fn build_tests(&self) -> Result<()> {
        step::block("build", "tests", || {
            shell::run(self.cargo("test").args(HOST).arg("--no-run"))?;
            let mut cargo = self.cargo("test");
            cargo.args(HOST).args(ROOT_TESTS.iter().flat_map(|name| ["--test", name])).arg("--no-run");
            shell::run(&mut cargo)
        })
    }

    /// A cargo command that runs a test binary which needs root, with what is passed on to it.
    pub fn tests(&self, binary: &str, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.cargo("test");
        command.args(HOST).args(["--test", binary, "--"]).args(args);
        command
    }

    /// Builds test binaries that need root, and says where they are, in their order.
    pub fn test_binaries(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut cargo = self.cargo("test");
        cargo.args(HOST).args(["--no-run", "--message-format=json-render-diagnostics"]);
        cargo.args(names.iter().flat_map(|name| ["--test", name]));
        let messages = shell::read(&mut cargo)?;
        let find = |name: &&str| messages.lines().find_map(|line| executable_in(line, name));
        names
            .iter()
            .map(|name| find(name).with_context(|| format!("cargo names no file for the test {name}")))
            .collect()
    }

    /// A cargo command for the test package with optimisations, for what measures or goes on for long: bench, soak,
    /// fuzz. A panic unwinds there, as it does in tests, so that a lab is taken down behind it.
    pub fn lab_cargo(&self, verb: &str) -> Command {
        let mut command = self.cargo(verb);
        command.env("CARGO_PROFILE_RELEASE_PANIC", "unwind").args(["--package", "tests"]);
        command
    }

    /// Builds a program of the lab: `story`, `soak`.
    pub fn lab_program(&self, name: &str) -> Result<PathBuf> {
        step::block("build", name, || {
            let mut cargo = self.lab_cargo("build");
            cargo.args(["--features", "programs"]);
            executable(cargo, name, Profile::Release, &[])
        })
    }
}

/// Builds both halves.
pub fn build(tools: &Tools, profile: Profile) -> Result<Built> {
    let object = step::block("build", "BPF object", || bpf_object(tools))?;
    let knockctl = step::block("build", "knockctl", || knockctl(&object, profile))?;
    Ok(Built { object, knockctl })
}

/// Builds `knockctl` with an object.
fn knockctl(object: &Path, profile: Profile) -> Result<PathBuf> {
    let mut cargo = host_cargo("build", object);
    cargo.args(["--package", "knock-user"]);
    executable(cargo, "knockctl", profile, &[])
}

/// Builds the BPF object.
fn bpf_object(tools: &Tools) -> Result<PathBuf> {
    shell::run(&mut bpf_cargo(tools, "build", &[]))?;
    let object = bpf_object_in(&paths::bpf_target());
    ensure!(object.is_file(), "no BPF object at {}", object.display());
    Ok(object)
}

/// Where a build of the BPF side with this target directory puts the object.
pub fn bpf_object_in(target: &Path) -> PathBuf {
    target.join(BPF_TARGET).join("release/knock-gate")
}

/// A cargo command for the BPF side.
pub fn bpf_cargo(tools: &Tools, verb: &str, more_flags: &[&str]) -> Command {
    bpf_cargo_to(&paths::bpf_target(), tools, verb, more_flags)
}

/// The same with a target directory. rustc's flags are all of them ours: aya-build's own would
/// replace them, and leave the CPU at the oldest, without 32-bit and atomic instructions.
pub fn bpf_cargo_to(target: &Path, tools: &Tools, verb: &str, more_flags: &[&str]) -> Command {
    let cfg = format!("--cfg=bpf_target_arch=\"{ARCH}\"");
    let linker = format!("-Clinker={}", tools.linker.display());
    let mut flags = vec![&*cfg, "-Cdebuginfo=2", &*linker, "-Clink-arg=--btf", "-Ctarget-cpu=v3"];
    flags.extend(more_flags);
    let mut command = tools.toolchain.cargo(verb);
    command
        .args(["--release", "--package", BPF_PACKAGE, "--target", BPF_TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    command
}

/// A cargo command of the host that finds the BPF object.
pub fn host_cargo(verb: &str, object: &Path) -> Command {
    let mut command = shell::cargo(verb);
    command.env(OBJECT_VARIABLE, object);
    command
}

/// Builds a binary and asks cargo where it put it; the flags are for `cargo rustc`.
pub fn executable(mut cargo: Command, bin: &str, profile: Profile, flags: &[&str]) -> Result<PathBuf> {
    cargo.args(["--bin", bin, "--message-format=json-render-diagnostics"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    if !flags.is_empty() {
        cargo.arg("--").args(flags);
    }
    let messages = shell::read(&mut cargo)?;
    messages
        .lines()
        .find_map(|line| executable_in(line, bin))
        .with_context(|| format!("cargo names no file for the binary {bin}"))
}

/// The path of the binary, if that is what a message of cargo's is about.
pub fn executable_in(message: &str, bin: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == bin;
    let path = message["executable"].as_str().filter(|_| is_it)?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_among_cargos_messages() {
        let message = |name: &str, executable: &str| {
            format!(r#"{{"reason":"compiler-artifact","target":{{"name":"{name}"}},"executable":{executable}}}"#)
        };
        let found = |line: &str| executable_in(line, "knockctl");
        assert_eq!(found(&message("knockctl", r#""/t/release/knockctl""#)), Some(PathBuf::from("/t/release/knockctl")));
        assert_eq!(found(&message("knockctl", "null")), None);
        assert_eq!(found(&message("story", r#""/t/release/story""#)), None);
        assert_eq!(found(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(found("no JSON at all"), None);
    }
}
