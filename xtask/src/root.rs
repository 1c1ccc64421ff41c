//! Who we are, and what to type where root is needed.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;

use anyhow::{Result, bail};

use crate::shell;

/// Whether this process may do everything: its directory under /proc belongs to its effective user.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|proc| proc.uid() == 0)
}

/// An error with the command to type, unless we are root.
pub fn require(verb: &str, why: &str) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    let rust = ["CARGO_HOME", "RUSTUP_HOME", "CARGO_TARGET_DIR"].into_iter().filter(|name| env::var_os(name).is_some());
    let args: Vec<String> = env::args().skip(1).collect();
    bail!("{verb}: needs root, {why}: run\n\n    {}\n", sudo_line(rust, &args))
}

/// `cargo xtask ARGS` under sudo, finding the same Rust: sudo itself resets PATH and HOME.
fn sudo_line<'a>(variables: impl Iterator<Item = &'a str>, args: &[String]) -> String {
    let keep: Vec<String> =
        ["PATH", "HOME"].into_iter().chain(variables).map(|name| format!("\"{name}=${name}\"")).collect();
    let args: Vec<String> = args.iter().map(|arg| shell::quote(arg)).collect();
    format!("sudo env {} cargo xtask {}", keep.join(" "), args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sudo_line_keeps_the_users_rust() {
        let args = ["test".to_owned(), "--".to_owned(), "a b".to_owned()];
        assert_eq!(
            sudo_line(["CARGO_HOME"].into_iter(), &args),
            "sudo env \"PATH=$PATH\" \"HOME=$HOME\" \"CARGO_HOME=$CARGO_HOME\" cargo xtask test -- 'a b'"
        );
    }
}
