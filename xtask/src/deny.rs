//! cargo-deny: licences, bans and sources of every crate that is built here, and advisories where their
//! database can be had. What they may be is said in `deny.toml`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::checks::Checks;
use crate::setup::CARGO_DENY;
use crate::{paths, shell};

/// The roots of all graphs of crates: the workspace, and that of cargo-fuzz.
const GRAPHS: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// How long the database of advisories may take to come.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks all graphs.
pub fn check(checks: &mut Checks) {
    for graph in GRAPHS {
        checks.run(&format!("licences, bans and sources, {graph}"), || {
            shell::run(deny(graph).args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))
        });
    }
    // Where it cannot be had this is no failure, and nobody is told that it was looked at.
    if let Err(error) = shell::logged(deny(GRAPHS[0]).args(["fetch", "db"]), "advisories", Some(PATIENCE)) {
        println!("[lint] advisories WERE NOT LOOKED AT: their database cannot be had here: {}", reason(&error));
        return;
    }
    for graph in GRAPHS {
        checks.run(&format!("advisories, {graph}"), || {
            shell::run(deny(graph).args(["check", "--disable-fetch", "--hide-inclusion-graph", "advisories"]))
        });
    }
}

fn deny(graph: &str) -> Command {
    let workspace = paths::workspace();
    let file = |name: &str| workspace.join(Path::new(name));
    let mut command = shell::command(CARGO_DENY.path());
    command.current_dir(&workspace).arg("--manifest-path").arg(file(graph));
    command.arg("--config").arg(file("deny.toml"));
    command
}

/// The line that says why, among those of a program.
fn reason(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let line =
        text.lines().rev().map(str::trim).find(|line| ["fatal: ", "error: "].iter().any(|head| line.starts_with(head)));
    line.or(text.lines().next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_reason_is_the_line_that_says_why() {
        let error = anyhow!("cargo-deny failed\n  fetching\nfatal: no such host\nbacktrace\n");
        assert_eq!(reason(&error), "fatal: no such host");
        assert_eq!(reason(&anyhow!("took longer than 120 s\nmore")), "took longer than 120 s");
    }
}
