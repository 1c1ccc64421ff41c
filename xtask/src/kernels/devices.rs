//! Devices that lie on others, which not every kernel has: their tests run where they can, and are left out with a word
//! elsewhere.

use crate::shell;

/// How the names of their tests begin.
pub const TESTS: &str = "e2e::devices::";

/// Each with the lines of iproute2 that make one.
const KINDS: [(&str, &str); 2] = [
    ("bonds", "link add device0 type bond\n"),
    ("VLANs", "link add wire0 type veth peer name wire1\nlink add link wire0 name device0 type vlan id 5\n"),
];

/// Why this kernel cannot have their tests, if it cannot.
pub fn obstacle() -> Option<String> {
    let makes = |lines: &str| {
        let make = format!("printf {} | ip -batch -", shell::quote(lines));
        shell::probe(shell::command("unshare").args(["--net", "sh", "-c", &make])).is_some()
    };
    let missing: Vec<_> = KINDS.iter().filter(|(_, lines)| !makes(lines)).map(|(name, _)| *name).collect();
    (!missing.is_empty()).then(|| format!("this kernel has no {}", missing.join(" and no ")))
}
