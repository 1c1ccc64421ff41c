//! The client alone: it must build without the gate, and where there can be no gate.

use anyhow::{Result, ensure};

use crate::checks::Checks;
use crate::{setup, shell};

/// Where the client must build beside Linux.
const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Crates of the gate: one of them in the client's tree, and it builds on Linux only.
const GATE: [&str; 5] = ["aya", "aya-obj", "rtnetlink", "netlink-sys", "tokio"];

/// What makes a build of the client alone.
const ALONE: [&str; 3] = ["--package", "knock-user", "--no-default-features"];

/// Checks it here and on the other targets.
pub fn check(checks: &mut Checks) {
    checks.run("clippy, client alone", || {
        shell::run(shell::cargo("clippy").args(ALONE).args(["--all-targets", "--", "-Dwarnings"]))
    });
    checks.run("client alone, crates", crates);
    for target in TARGETS {
        checks.run(&format!("client alone, {target}"), || on(target));
    }
}

fn crates() -> Result<()> {
    let mut cargo = shell::cargo("tree");
    cargo.args(ALONE).args(["--edges", "normal", "--target", "all", "--prefix", "none", "--format", "{p}"]);
    let tree = shell::read(&mut cargo)?;
    let found = of_the_gate(&tree);
    ensure!(found.is_empty(), "the client must not need {}: put it behind the feature `gate`", found.join(", "));
    Ok(())
}

/// Crates of the gate in the output of `cargo tree`.
fn of_the_gate(tree: &str) -> Vec<&'static str> {
    let has = |name: &&str| tree.lines().any(|line| line.split(' ').next() == Some(*name));
    GATE.into_iter().filter(has).collect()
}

fn on(target: &str) -> Result<()> {
    if !setup::has_std_of(target)? {
        println!("[lint] Rust's standard library for {target} is not to be had: only the crates were looked at");
        return Ok(());
    }
    shell::run(shell::cargo("clippy").args(ALONE).args(["--target", target, "--", "-Dwarnings"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_gate_are_found_by_their_whole_name() {
        assert_eq!(of_the_gate("knock-user v0.1.0\nanyhow v1.0.0\nayame v1.0.0\n"), Vec::<&str>::new());
        assert_eq!(of_the_gate("anyhow v1.0.0\naya v0.14.0 (*)\ntokio v1.54.0\n"), ["aya", "tokio"]);
    }
}
