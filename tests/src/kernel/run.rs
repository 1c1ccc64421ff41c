//! One run of a program: `BPF_PROG_TEST_RUN`.

use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result};
pub use knock_user::kernel::Ran;
use knock_user::kernel::{FrameContext, test_run};

use crate::links;

/// The kernel runs no shorter frame than an Ethernet header.
pub const LEAST: usize = 14;
/// A longer one it spreads over buffers of a page, less what it keeps for itself.
pub const LINEAR: usize = 4096 - 256 - 320;

/// A frame, and how it is handed to the program.
#[derive(Debug)]
#[must_use]
pub struct Run<'a> {
    frame: &'a [u8],
    after: &'a mut [u8],
    context: Option<FrameContext>,
    repeat: u32,
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
        self.context = Some(FrameContext { data_end: linear as u32, ..FrameContext::default() });
        self
    }

    /// As if it came on this interface of the thread's network. Without that it comes on loopback.
    pub fn on_interface(mut self, index: u32) -> Self {
        if index != links::LO {
            let data_end = self.frame.len() as u32;
            self.context = Some(FrameContext { data_end, ingress_ifindex: index, ..FrameContext::default() });
        }
        self
    }

    /// The first `length` octets are metadata, which the frame stands behind.
    pub fn behind_metadata(mut self, length: usize) -> Self {
        let (data, data_end) = (length as u32, self.frame.len() as u32);
        self.context = Some(FrameContext { data, data_end, ..FrameContext::default() });
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
        test_run(program, self.frame, self.after, self.context.as_ref(), self.repeat)
            .with_context(|| format!("BPF_PROG_TEST_RUN of {} octets", self.frame.len()))
    }
}
