//! One run of a program: `BPF_PROG_TEST_RUN`.

use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result};

use super::sys;

/// The kernel runs no shorter frame than an Ethernet header.
pub const LEAST: usize = 14;
/// A longer one it spreads over buffers of a page, less what it keeps for itself.
pub const LINEAR: usize = 4096 - 256 - 320;

/// Octets of `struct xdp_md`.
const CONTEXT: usize = 24;

/// A frame, and how it is handed to the program.
#[derive(Debug)]
#[must_use]
pub struct Run<'a> {
    frame: &'a [u8],
    after: &'a mut [u8],
    context: Option<[u8; CONTEXT]>,
    repeat: u32,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// What the program returned last.
    pub action: u32,
    /// The mean time of a run, in whole ns.
    pub nanoseconds: u32,
    /// The length of the frame after it.
    pub length: usize,
}

impl<'a> Run<'a> {
    /// Once, in one buffer if it fits into one.
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { frame, after: &mut [], context: None, repeat: 1 }
    }

    /// Puts the frame as it is afterwards into `buffer`.
    pub const fn copying_to(mut self, buffer: &'a mut [u8]) -> Self {
        self.after = buffer;
        self
    }

    /// The first buffer holds `linear` octets and others the rest.
    pub fn split_at(mut self, linear: usize) -> Self {
        let mut context = [0; CONTEXT];
        // struct xdp_md: data, data_end, and four that stay zero.
        context[4..8].copy_from_slice(&(linear as u32).to_ne_bytes());
        self.context = Some(context);
        self
    }

    /// That often.
    pub const fn repeat(mut self, times: u32) -> Self {
        self.repeat = times;
        self
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn on(self, program: BorrowedFd<'_>) -> Result<Ran> {
        let context = self.context.as_ref().map_or(&[][..], <[u8; CONTEXT]>::as_slice);
        sys::test_run(program, self.frame, self.after, context, self.repeat)
            .with_context(|| format!("BPF_PROG_TEST_RUN of {} octets", self.frame.len()))
    }
}
