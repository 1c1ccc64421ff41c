//! The least that an XDP program can do, to hold others against.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result};

use super::{XDP_DROP, XDP_PASS, sys};

/// `r0 = action`, `exit`, as the kernel encodes them.
const fn program(action: u32) -> [u64; 2] {
    let action = action as u64;
    if cfg!(target_endian = "little") {
        [action << 32 | 0x0000_00b7, 0x0000_0000_0000_0095]
    } else {
        [0xb700_0000_0000_0000 | action, 0x9500_0000_0000_0000]
    }
}

/// A loaded program that treats all frames alike.
pub struct Bare(OwnedFd);

impl Bare {
    /// Loads one that passes every frame.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn load() -> Result<Self> {
        Self::of(XDP_PASS, false)
    }

    /// The same for multi-buffer frames.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn with_frags() -> Result<Self> {
        Self::of(XDP_PASS, true)
    }

    /// Loads one that drops every frame.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn dropping() -> Result<Self> {
        Self::of(XDP_DROP, false)
    }

    fn of(action: u32, frags: bool) -> Result<Self> {
        let what = if frags { " for multi-buffer frames" } else { "" };
        sys::load_xdp(&program(action), frags)
            .map(Self)
            .with_context(|| format!("the kernel loads no XDP program{what}"))
    }

    /// Attaches it to an interface of this thread's network, for as long as the link is kept.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn attach(&self, interface: &str) -> Result<OwnedFd> {
        let index = nix::net::if_::if_nametoindex(interface)?;
        sys::attach_xdp(self.fd(), index).with_context(|| format!("{interface} takes no XDP program"))
    }

    /// The program.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
