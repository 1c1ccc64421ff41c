//! System calls that no library wraps.

mod elements;
mod links;
mod run;

use std::io;
use std::mem::size_of;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

pub use elements::{read_array, take};
pub use links::{detach, xdp_link};
pub use run::{FrameContext, Ran, program, test_run};

/// Boot time in ns, the clock of grants and attempts: counts suspend, ignores clock steps.
#[must_use]
pub fn boot_now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that the call fills in.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// bpf(2).
///
/// # Safety
///
/// `attr` is the arm of `union bpf_attr` for the command of `enum bpf_cmd`, or its beginning, and its
/// pointers are to what the command takes, which outlives the call.
unsafe fn bpf<T>(command: libc::c_long, attr: &mut T) -> io::Result<libc::c_long> {
    let attr: *mut T = attr;
    // SAFETY: the attribute is of its size; for the rest the caller stands.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// bpf(2) with a command that opens something.
///
/// # Safety
///
/// That of [`bpf`], and the command returns a descriptor.
unsafe fn open<T>(command: libc::c_long, attr: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller stands for it.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the call has just returned this descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
