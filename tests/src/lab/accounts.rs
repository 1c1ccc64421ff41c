//! The accounts of the sandbox: the host's may be locked, have no shell, or a home full of
//! settings.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::Mount;

/// Lays files of ours over the lists of accounts: root with a shell, an empty home, and no
/// password, and all others as on the host.
pub(super) fn replace(dir: &Path) -> Result<()> {
    let home = dir.join("home");
    fs::create_dir(&home)?;
    let root = format!("root:x:0:0:root:{}:/bin/sh", home.display());
    for (path, line, mode) in [("/etc/passwd", &*root, 0o644), ("/etc/shadow", "root:*:1::::::", 0o600)] {
        let old = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let ours = dir.join(Path::new(path).file_name().unwrap_or_default());
        fs::write(&ours, with_root(&old, line))?;
        fs::set_permissions(&ours, fs::Permissions::from_mode(mode))?;
        Mount::over(&ours, path)?.forget();
    }
    Ok(())
}

/// The list with another line for root.
fn with_root(list: &str, root: &str) -> String {
    let others = list.lines().filter(|line| !line.starts_with("root:"));
    [root].into_iter().chain(others).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_is_replaced() {
        let list = "root:!:1\nsshd:x:2\nrooted:x:3\n";
        assert_eq!(with_root(list, "root:*:1"), "root:*:1\nsshd:x:2\nrooted:x:3\n");
        assert_eq!(with_root("", "root:*:1"), "root:*:1\n");
    }
}
