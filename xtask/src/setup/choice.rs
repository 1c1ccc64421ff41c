//! Which compiler of the BPF side may be taken: KNOCK_BPF_TOOLCHAIN=nightly, =debian or =NAME (of a
//! toolchain of rustup's) leaves no choice.

use std::env;

use crate::pins::NIGHTLY;

/// The variable that forces a choice.
const VARIABLE: &str = "KNOCK_BPF_TOOLCHAIN";

/// Which compiler may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Whatever works.
    Any,
    /// A nightly of rustup's.
    Nightly,
    /// Debian's.
    Debian,
    /// This one of rustup's.
    Named(String),
}

impl Choice {
    /// The choice that KNOCK_BPF_TOOLCHAIN leaves.
    pub fn from_env() -> Self {
        Self::parse(&env::var(VARIABLE).unwrap_or_default())
    }

    fn parse(word: &str) -> Self {
        match word {
            "" => Self::Any,
            "nightly" => Self::Nightly,
            "debian" => Self::Debian,
            name => Self::Named(name.to_owned()),
        }
    }

    /// Whether Debian's compiler may be taken.
    pub fn allows_debian(&self) -> bool {
        matches!(self, Self::Any | Self::Debian)
    }

    /// What to have rustup install if nothing is found.
    pub fn to_install(&self) -> Option<&str> {
        match self {
            Self::Any | Self::Nightly => Some(NIGHTLY),
            Self::Named(name) if name.starts_with("nightly") => Some(name),
            Self::Named(_) | Self::Debian => None,
        }
    }

    /// What to look for, the best first.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let nightlies = [Candidate::Rustup(NIGHTLY), Candidate::Rustup("nightly")];
        match self {
            Self::Any => [&nightlies[..], &[Candidate::Debian]].concat(),
            Self::Nightly => nightlies.to_vec(),
            Self::Debian => vec![Candidate::Debian],
            Self::Named(name) => vec![Candidate::Rustup(name)],
        }
    }
}

/// A compiler that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// What rustup calls by this name.
    Rustup(&'a str),
    /// Debian's own.
    Debian,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_leaves_a_choice() {
        assert_eq!(Choice::parse(""), Choice::Any);
        assert_eq!(Choice::parse("nightly"), Choice::Nightly);
        assert_eq!(Choice::parse("debian"), Choice::Debian);
        assert_eq!(Choice::parse("mine"), Choice::Named("mine".to_owned()));
    }

    #[test]
    fn a_nightly_is_preferred_and_the_pinned_one_first() {
        let pinned = Candidate::Rustup(NIGHTLY);
        let nightly = Candidate::Rustup("nightly");
        assert_eq!(Choice::Any.candidates(), [pinned, nightly, Candidate::Debian]);
        assert_eq!(Choice::Nightly.candidates(), [pinned, nightly]);
        assert_eq!(Choice::Debian.candidates(), [Candidate::Debian]);
    }
}
