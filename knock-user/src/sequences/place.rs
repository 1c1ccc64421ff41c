//! Where a file of sequences may lie, so that its uses can be marked, and what to do where they cannot.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Below these, `knockctl.service` may write although it may not above (`ReadWritePaths=`).
const WRITABLE: [&str; 2] = ["/etc/knock", "/etc/knockd"];
/// What it may only read (`ProtectSystem=full`, `ProtectHome=read-only`).
const READ_ONLY: [&str; 7] = ["/etc", "/usr", "/boot", "/efi", "/home", "/root", "/run/user"];
/// Where it sees other files than everybody else (`PrivateTmp=`, `PrivateDevices=`).
const HIDDEN: [&str; 3] = ["/tmp", "/var/tmp", "/dev"];

/// What to do about a place where the service may not write.
const MOVE: &str = "move the file to /etc/knock, or name its folder in ReadWritePaths= (systemctl edit knockctl)";

/// Why `knockctl.service` cannot mark uses in the file, as it comes, with the remedy; `None`: it can.
#[must_use]
pub fn out_of_reach(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    if below(&HIDDEN) {
        return Some("knockctl.service has no access to that place: move the file to /etc/knock".to_owned());
    }
    (below(&READ_ONLY) && !below(&WRITABLE))
        .then(|| format!("knockctl.service may not write there, and the door would shut after its first use: {MOVE}"))
}

/// The remedy for a file that cannot be read or written.
#[must_use]
pub fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => MOVE,
        ErrorKind::PermissionDenied => "let root own the file and its folder",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that file system",
        ErrorKind::NotFound => "put it back; the service has a /tmp of its own",
        _ => "see that it is a file that root may change",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values of a setting of the unit.
    fn setting(name: &str) -> Vec<&'static str> {
        let unit = include_str!("../../../packaging/knockctl.service");
        let values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn the_unit_is_as_this_file_says() {
        assert_eq!(setting("ProtectSystem"), ["full"]);
        assert_eq!(setting("ProtectHome"), ["read-only"]);
        assert_eq!((setting("PrivateTmp"), setting("PrivateDevices")), (vec!["yes"], vec!["yes"]));
        for folder in WRITABLE {
            assert!(setting("ReadWritePaths").contains(&&*format!("-{folder}")), "{folder}");
        }
    }

    #[test]
    fn a_place_out_of_reach_is_named_with_the_remedy() {
        for path in ["/etc/knock/a", "/etc/knockd/smtp_sequences", "/var/lib/knock/a", "/srv/a", "/run/a", "/opt/a"] {
            assert_eq!(out_of_reach(Path::new(path)), None, "{path}");
        }
        for path in ["/etc/once", "/etc/knocked/a", "/usr/local/etc/a", "/home/a/b"] {
            let said = out_of_reach(Path::new(path)).unwrap_or_default();
            assert!(said.contains("may not write there") && said.contains("ReadWritePaths="), "{path}: {said}");
        }
        for path in ["/tmp/a", "/var/tmp/b/a", "/dev/shm/a"] {
            assert!(out_of_reach(Path::new(path)).unwrap_or_default().contains("no access"), "{path}");
        }
    }

    #[test]
    fn a_link_counts_for_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("once");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(out_of_reach(&link).unwrap().contains("may not write there"));
    }
}
