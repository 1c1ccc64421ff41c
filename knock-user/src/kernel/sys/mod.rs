//! System calls that no library wraps.

mod batch;
mod elements;
mod links;
mod probe;
mod run;

use std::io;
use std::mem::size_of;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

pub use batch::{each, each_record, read_array, read_per_cpu, write};
pub use elements::take;
pub use links::{detach, move_link, open_pin, xdp_link};
pub use probe::{Command, takes, takes_out};
pub use run::{FrameContext, Ran, program, test_run};

/// Boot time in ns, the clock of grants and attempts: counts suspend, ignores clock steps. As the kernel
/// program has it, also in a time namespace, where the clock itself says something else.
#[must_use]
pub fn boot_now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that the call fills in.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    let own = i128::from(time.tv_sec) * SECOND + i128::from(time.tv_nsec);
    (own - *AHEAD).max(0) as u64
}

/// What the wall clock is ahead of [`boot_now`], in ns; 0 if it is not ahead: then nobody knows it.
#[must_use]
pub fn wall_offset() -> u64 {
    let before = boot_now();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let boot = u128::from(before.midpoint(boot_now()));
    u64::try_from(since_1970.saturating_sub(boot)).unwrap_or(0)
}

/// Waits until no CPU is in the middle of something that began before: a packet on its way through a program that was
/// taken off its interfaces among them (membarrier(2), RCU).
///
/// # Errors
///
/// On a kernel without it, or with CPUs that are not to be disturbed.
pub fn wait_for_readers() -> io::Result<()> {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: the command takes no pointer.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

const SECOND: i128 = 1_000_000_000;

/// By how many ns the clock of this process's time namespace is ahead (time_namespaces(7)).
static AHEAD: LazyLock<i128> =
    LazyLock::new(|| std::fs::read_to_string("/proc/self/timens_offsets").map_or(0, |offsets| ahead(&offsets)));

/// The offset in a table of lines such as `boottime 86400 0`. A kernel without such namespaces has none.
fn ahead(offsets: &str) -> i128 {
    let line = offsets.lines().find_map(|line| line.strip_prefix("boottime")).unwrap_or_default();
    let mut numbers = line.split_whitespace().map_while(|number| number.parse::<i128>().ok());
    numbers.next().unwrap_or(0) * SECOND + numbers.next().unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(ahead("monotonic           7         8\nboottime       86400       500\n"), 86_400 * SECOND + 500);
        assert_eq!(ahead("boottime  -5  0\n"), -5 * SECOND);
        assert_eq!(ahead(""), 0);
    }
}
