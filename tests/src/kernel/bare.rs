//! The least that an XDP program can do, to hold others against.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use anyhow::{Context as _, Result};

use super::sys;

/// `r0 = XDP_PASS`, `exit`, as the kernel encodes them on a little-endian machine.
const PASS: [u64; 2] = if cfg!(target_endian = "little") {
    [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095]
} else {
    [0xb700_0000_0000_0002, 0x9500_0000_0000_0000]
};

/// A loaded program that passes every frame.
pub struct Bare(OwnedFd);

impl Bare {
    /// Loads it.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn load() -> Result<Self> {
        sys::load_xdp(&PASS, false).map(Self).context("the kernel loads no XDP program")
    }

    /// The same for multi-buffer frames.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn with_frags() -> Result<Self> {
        sys::load_xdp(&PASS, true).map(Self).context("the kernel loads no XDP program for multi-buffer frames")
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
