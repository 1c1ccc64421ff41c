//! Processes of this host by their names, and the sockets that they have open.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Inodes of the sockets that processes with these names have open, as far as this process may look: at all of them as root
/// with `CAP_SYS_PTRACE`, at its own otherwise.
#[must_use]
pub fn sockets_of(names: &[&str]) -> HashSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_one =
        |folder: &Path| fs::read_to_string(folder.join("comm")).is_ok_and(|name| names.contains(&name.trim_end()));
    let open = |folder: &Path| fs::read_dir(folder.join("fd")).into_iter().flatten().flatten();
    let folders = processes.map(|entry| entry.path()).filter(|folder| is_one(folder));
    folders
        .flat_map(|folder| open(&folder).collect::<Vec<_>>())
        .filter_map(|fd| socket(&fs::read_link(fd.path()).ok()?))
        .collect()
}

/// The inode in `socket:[4711]` (proc_pid_fd(5)).
fn socket(target: &Path) -> Option<u32> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::host::sockets;

    #[test]
    fn a_listener_is_found_by_the_name_of_its_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = sockets::listeners().unwrap();
        let inode = found.iter().find(|one| one.address == address).unwrap().inode;
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(sockets_of(&["sshd", name.trim_end()]).contains(&inode));
        assert!(!sockets_of(&["no such process"]).contains(&inode));
    }

    #[test]
    fn only_sockets_have_such_targets() {
        assert_eq!(socket(Path::new("socket:[4711]")), Some(4711));
        for other in ["pipe:[4711]", "/dev/null", "socket:[x]", "socket:[4711"] {
            assert_eq!(socket(Path::new(other)), None, "{other}");
        }
    }
}
