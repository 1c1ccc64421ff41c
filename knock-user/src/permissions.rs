//! Who but its owner can read or change a file that holds sequences.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use crate::syntax::Severity;

/// The permissions of a file, and its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permissions {
    mode: u32,
    group: u32,
}

impl Permissions {
    /// Those of an open file.
    #[must_use]
    pub fn of(file: &Metadata) -> Self {
        Self { mode: file.mode() & 0o7777, group: file.gid() }
    }

    /// What is wrong with them, the worst first. To read is a matter of the administrator's for a group, and
    /// not for everybody; to change the file is to open the gate, and is for nobody but root.
    #[must_use]
    pub fn fault(self) -> Option<(Severity, String)> {
        let Self { mode, group } = self;
        let (severity, what) = if mode & 0o002 != 0 {
            (Severity::Error, "everybody on this host may change this file".to_owned())
        } else if mode & 0o020 != 0 && group != 0 {
            (Severity::Error, format!("all of the group {group} may change this file"))
        } else if mode & 0o004 != 0 {
            (Severity::Error, "everybody on this host may read this file, and its sequences".to_owned())
        } else if mode & 0o020 != 0 {
            (Severity::Warning, "all of the group root may change this file".to_owned())
        } else {
            return None;
        };
        Some((severity, format!("mode {mode:04o}: {what}")))
    }

    /// The remedy, for the file of this name.
    #[must_use]
    pub fn remedy(file: &str) -> String {
        format!("chmod 0600 {file}, or 0640 where its group is to read it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(mode: u32, group: u32) -> Option<(Severity, String)> {
        Permissions { mode, group }.fault()
    }

    #[test]
    fn a_group_may_read_and_nobody_else() {
        for (mode, group) in [(0o600, 0), (0o600, 4), (0o400, 4), (0o640, 4), (0o440, 0), (0o750, 4), (0o711, 4)] {
            assert_eq!(fault(mode, group), None, "{mode:o}");
        }
        for (mode, group) in [(0o644, 0), (0o604, 4), (0o444, 0)] {
            let (severity, text) = fault(mode, group).unwrap();
            assert_eq!(severity, Severity::Error, "{mode:o}");
            assert_eq!(text, format!("mode {mode:04o}: everybody on this host may read this file, and its sequences"));
        }
    }

    #[test]
    fn nobody_but_root_may_change_it() {
        let error = |text: &str| Some((Severity::Error, text.to_owned()));
        assert_eq!(fault(0o646, 0), error("mode 0646: everybody on this host may change this file"));
        assert_eq!(fault(0o602, 4), error("mode 0602: everybody on this host may change this file"));
        assert_eq!(fault(0o660, 4), error("mode 0660: all of the group 4 may change this file"));
        assert_eq!(fault(0o620, 4), error("mode 0620: all of the group 4 may change this file"));
        let (severity, text) = fault(0o660, 0).unwrap();
        assert_eq!((severity, &*text), (Severity::Warning, "mode 0660: all of the group root may change this file"));
    }
}
