//! What a rustc says of itself.

use std::path::Path;

use crate::shell;

/// The version of a rustc and of the LLVM in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As in `1.97.0-nightly`.
    pub release: String,
    /// As in `22.1.4`.
    pub llvm: String,
}

impl Version {
    /// Asks a rustc.
    pub fn of(rustc: &Path) -> Option<Self> {
        Self::parse(&shell::probe(shell::foreign(rustc).arg("-vV"))?)
    }

    /// Reads the output of `rustc -vV`.
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(value.trim().to_owned())
        };
        Some(Self { release: field("release:")?, llvm: field("LLVM version:")? })
    }

    /// The first number of the LLVM version, which bpf-linker's must equal.
    pub fn llvm_major(&self) -> Option<u32> {
        self.llvm.split('.').next()?.parse().ok()
    }

    /// Whether it takes unstable features without being told to.
    pub fn is_nightly(&self) -> bool {
        self.release.contains("-nightly") || self.release.contains("-dev")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\n\
        binary: rustc\n\
        commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a\n\
        commit-date: 2026-05-19\n\
        host: x86_64-unknown-linux-gnu\n\
        release: 1.97.0-nightly\n\
        LLVM version: 22.1.4\n";

    #[test]
    fn the_long_version_is_read() {
        let version = Version::parse(NIGHTLY).unwrap();
        assert_eq!(version.release, "1.97.0-nightly");
        assert_eq!(version.llvm_major(), Some(22));
        assert!(version.is_nightly());
    }

    #[test]
    fn a_release_is_no_nightly() {
        let text = NIGHTLY.replace("-nightly", "");
        assert!(!Version::parse(&text).unwrap().is_nightly());
    }

    #[test]
    fn anything_else_is_no_version() {
        assert_eq!(Version::parse(""), None);
        assert_eq!(Version::parse("rustc 1.97.0\nrelease: 1.97.0\n"), None);
    }
}
