//! What the gate uses of a kernel is tried, and told by name.

use std::process::Command;

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Config, Host, Lab, knockctl_path};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "kernel::features";
        this_kernel_has_what_the_gate_uses,
        what_a_kernel_lacks_is_named,
    ]
}

fn this_kernel_has_what_the_gate_uses() -> Result<()> {
    let _lab = Lab::new()?;
    let ran = Host::Server.run(Command::new(knockctl_path()?).args(["check", "--kernel"]))?;
    let (lines, last) = ran.stdout.trim_end().rsplit_once('\n').unwrap_or_default();
    assert!(ran.code == 0 && last.starts_with("Linux ") && last.ends_with(": ok"), "{ran}");
    // Every kernel that the tests run on has large frames, too.
    assert!(lines.lines().count() > 10 && lines.lines().all(|line| line.starts_with("yes ")), "{ran}");
    Ok(())
}

/// A kernel that knows none of it, as far as it can be made from one that does.
fn what_a_kernel_lacks_is_named() -> Result<()> {
    let _lab = Lab::new()?;
    let ignorant = |args: &[&str]| -> Result<_> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf", "-e", "inject=bpf:error=EINVAL", "--"]);
        Host::Server.run(command.arg(knockctl_path()?).args(args))
    };
    let ran = ignorant(&["check", "--kernel"])?;
    let lines: Vec<_> = ran.stdout.lines().collect();
    let (last, features) = lines.split_last().expect("it says something");
    assert!(ran.code == 1 && last.contains("refused (") && last.contains("missing features"), "{ran}");
    assert!(features.iter().all(|line| line.starts_with("no  ")), "{ran}");
    let config = Config::lab().write("gate.toml")?.display().to_string();
    let ran = ignorant(&["run", "--config", &config])?;
    let said =
        "lacks XDP links (a gate that outlives its daemon: Linux 5.9), maps of type LRU hash (attempts: Linux 4.10)";
    assert!(ran.code == 2 && ran.stderr.contains(said) && ran.stderr.contains("boot a later one"), "{ran}");
    Ok(())
}
