//! Where the gate keeps its pins and its files.

use std::path::{Path, PathBuf};

/// Where the gate keeps its pins and its run-time files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// A directory on a BPF file system.
    pub pins: PathBuf,
    /// A directory for the daemon's lock and the event log.
    pub run: PathBuf,
    /// A directory that outlives a reboot, for what the daemon owes: stop commands that have not run.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { pins: "/sys/fs/bpf/knock".into(), run: "/run/knock".into(), state: "/var/lib/knock".into() }
    }
}

impl Paths {
    /// The same three directories below another one. For tests.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { pins: root.join("pins"), run: root.join("run"), state: root.join("state") }
    }

    /// The pin of a state map.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.pins.join(name)
    }

    /// The pin of a map that came with the running program's rules.
    #[must_use]
    pub fn rule(&self, name: &str) -> PathBuf {
        self.pins.join("rules").join(name)
    }

    /// The directory of what a change of the gate brings, while it is made.
    #[must_use]
    pub fn next(&self) -> PathBuf {
        self.pins.join("next")
    }

    /// The directory of link pins.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.pins.join("links")
    }

    /// The pin of the link on an interface. bpffs keeps names with dots to itself.
    #[must_use]
    pub fn link(&self, interface: &str) -> PathBuf {
        self.links().join(interface.replace('%', "%25").replace('.', "%2e"))
    }

    /// The interface that a link pin's name stands for.
    #[must_use]
    pub fn interface_of(pin: &str) -> String {
        pin.replace("%2e", ".").replace("%25", "%")
    }
}
