//! Programs that are run on a frame which comes from no wire.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use super::{bpf, open};

/// `BPF_PROG_TEST_RUN` and `BPF_PROG_GET_FD_BY_ID` of `enum bpf_cmd`.
const TEST_RUN: libc::c_long = 10;
const PROGRAM_BY_ID: libc::c_long = 13;

/// The loaded program with this id.
///
/// # Errors
///
/// Of bpf(2).
pub fn program(id: u32) -> io::Result<OwnedFd> {
    let mut attr = [id, 0, 0];
    // SAFETY: the arm of this command, which returns a descriptor, is an id and two words that it does not use.
    unsafe { open(PROGRAM_BY_ID, &mut attr) }
}

/// `struct xdp_md`, which a test run may say of its frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameContext {
    /// Where the packet begins in the frame: the octets before it are its metadata.
    pub data: u32,
    /// Where the first buffer ends.
    pub data_end: u32,
    /// Always 0.
    pub data_meta: u32,
    /// The interface that it comes to.
    pub ingress_ifindex: u32,
    /// The queue of that interface.
    pub rx_queue_index: u32,
    /// Always 0.
    pub egress_ifindex: u32,
}

/// What came of a test run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// What the program returned last.
    pub action: u32,
    /// The mean time of a run, in whole ns.
    pub nanoseconds: u32,
    /// The length of the frame after it.
    pub length: usize,
}

/// The arm of `union bpf_attr` for a test run.
#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    program: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    reserved: u32,
}

/// Runs an XDP program on a frame as often as `repeat` says, as if it came to an interface. The frame as it
/// is afterwards is put into `after`, unless that is empty.
///
/// # Errors
///
/// Of bpf(2): a frame shorter than an Ethernet header, or a program that is not for XDP.
pub fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    after: &mut [u8],
    context: Option<&FrameContext>,
    repeat: u32,
) -> io::Result<Ran> {
    let mut attr = TestRunAttr {
        program: program.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        data_size_out: after.len() as u32,
        data_out: if after.is_empty() { 0 } else { after.as_mut_ptr() as u64 },
        repeat,
        context_size_in: context.map_or(0, |_| size_of::<FrameContext>() as u32),
        context_in: context.map_or(0, |context| std::ptr::from_ref(context) as u64),
        ..TestRunAttr::default()
    };
    // SAFETY: every pointer is to a buffer of the length beside it, which outlives the call.
    unsafe { bpf(TEST_RUN, &mut attr) }?;
    Ok(Ran { action: attr.result, nanoseconds: attr.duration, length: attr.data_size_out as usize })
}
