//! Who may touch the gate: root, or whoever has the capabilities.

use anyhow::{Context as _, Result, bail};
use rustix::thread::{CapabilitySet, capabilities};

/// What it takes to load the program and to attach it. `PERFMON` is for arithmetic on pointers, which the
/// verifier allows nobody else.
pub const NEEDED: CapabilitySet = CapabilitySet::BPF.union(CapabilitySet::PERFMON).union(CapabilitySet::NET_ADMIN);

const NAMES: [(CapabilitySet, &str); 3] = [
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
];

/// Refuses whoever lacks one of [`NEEDED`].
///
/// # Errors
///
/// Names what is missing, with the remedy.
pub fn need_root() -> Result<()> {
    let effective = capabilities(None).context("capabilities cannot be read")?.effective;
    refuse(effective, rustix::process::geteuid().is_root())
}

fn refuse(effective: CapabilitySet, root: bool) -> Result<()> {
    // CAP_SYS_ADMIN stands for all of them (capabilities(7)).
    if effective.contains(NEEDED) || effective.contains(CapabilitySet::SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<_> = NAMES.iter().filter(|(one, _)| !effective.contains(*one)).map(|(_, name)| *name).collect();
    let missing = missing.join(", ");
    if root {
        bail!(
            "root, but without {missing}: let the unit (CapabilityBoundingSet=) or the container (--cap-add) have them"
        );
    }
    bail!("not root, and without {missing}: run it with sudo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_capability_is_named() {
        let error = |effective, root| refuse(effective, root).unwrap_err().to_string();
        assert!(refuse(NEEDED, false).is_ok() && refuse(CapabilitySet::SYS_ADMIN, true).is_ok());
        let text = error(CapabilitySet::empty(), false);
        assert_eq!(text, "not root, and without CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN: run it with sudo");
        let text = error(NEEDED - CapabilitySet::PERFMON, true);
        assert!(text.starts_with("root, but without CAP_PERFMON: "), "{text}");
    }
}
