//! System calls that no library wraps.

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Boot time in ns, the clock of grants and attempts: counts suspend, ignores clock steps.
#[must_use]
pub fn boot_now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that the call fills in.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `BPF_MAP_LOOKUP_AND_DELETE_ELEM` of `enum bpf_cmd`; for hash maps since kernel 5.14.
const LOOKUP_AND_DELETE: libc::c_long = 21;

/// The arm of `union bpf_attr` for map elements.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Takes an element out of a hash map and returns it, in one step.
///
/// # Errors
///
/// Of bpf(2); `None` if there is no such key.
pub fn take<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<Option<V>> {
    let mut value = std::mem::MaybeUninit::<V>::zeroed();
    let attr = ElementAttr {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: std::ptr::from_ref(key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value have the sizes that the map was opened with, and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, LOOKUP_AND_DELETE, &raw const attr, size_of::<ElementAttr>()) };
    if result == 0 {
        // SAFETY: zeroed, and then written by the kernel; every pattern of a Pod is a value.
        return Ok(Some(unsafe { value.assume_init() }));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) }
}

/// `BPF_OBJ_GET` and `BPF_LINK_DETACH` of `enum bpf_cmd`.
const OBJECT_GET: libc::c_long = 7;
const LINK_DETACH: libc::c_long = 34;

/// The arm of `union bpf_attr` for pins.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens a pin.
fn open_pin(pin: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let get = PinAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: the attribute is the arm of this command, and the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, OBJECT_GET, &raw const get, size_of::<PinAttr>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just returned this descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Detaches a pinned link from its interface before the call returns (kernel 5.9). To remove the pin
/// alone would leave it attached until the kernel has got round to freeing it. The link of an
/// interface that is gone is detached already.
///
/// # Errors
///
/// Of bpf(2).
pub fn detach(pin: &Path) -> io::Result<()> {
    let link = open_pin(pin)?;
    let number = link.as_raw_fd() as u32;
    // SAFETY: the arm of this command is the descriptor alone.
    let result = unsafe { libc::syscall(libc::SYS_bpf, LINK_DETACH, &raw const number, size_of::<u32>()) };
    match result {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOLINK) => Ok(()),
            error => Err(error),
        },
    }
}

/// `BPF_OBJ_GET_INFO_BY_FD` of `enum bpf_cmd`, and `BPF_LINK_TYPE_XDP` of `enum bpf_link_type`.
const INFO_BY_FD: libc::c_long = 15;
const LINK_TYPE_XDP: u32 = 6;

/// The arm of `union bpf_attr` for what the kernel knows of an object.
#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// The first fields of `struct bpf_link_info`, with the arm for XDP.
#[repr(C)]
#[derive(Default)]
struct LinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    ifindex: u32,
    padding_end: u32,
}

/// What the kernel says of a pinned XDP link: the id of its program, and the index of its interface,
/// which is 0 once the interface is gone or somebody has detached the link.
///
/// # Errors
///
/// Of bpf(2); a pin that is no XDP link.
pub fn xdp_link(pin: &Path) -> io::Result<(u32, u32)> {
    let link = open_pin(pin)?;
    let mut info = LinkInfo::default();
    let attr =
        InfoAttr { fd: link.as_raw_fd() as u32, length: size_of::<LinkInfo>() as u32, info: (&raw mut info) as u64 };
    // SAFETY: the kernel writes at most `length` bytes to `info`, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, INFO_BY_FD, &raw const attr, size_of::<InfoAttr>()) };
    match result {
        0 if info.kind == LINK_TYPE_XDP => Ok((info.program, info.ifindex)),
        0 => Err(io::Error::from(io::ErrorKind::InvalidData)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `BPF_PROG_GET_FD_BY_ID` and `BPF_PROG_TEST_RUN` of `enum bpf_cmd`.
const PROGRAM_BY_ID: libc::c_long = 13;
const TEST_RUN: libc::c_long = 10;

/// The loaded program with this id.
///
/// # Errors
///
/// Of bpf(2).
pub fn program(id: u32) -> io::Result<OwnedFd> {
    let attr = [id, 0, 0];
    // SAFETY: the attribute is the arm of this command: an id, and two words that it does not use.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROGRAM_BY_ID, attr.as_ptr(), size_of_val(&attr)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just returned this descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
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

/// Sends a frame through an XDP program as if it came to an interface, with `question` in its metadata;
/// returns the word that stands behind the question afterwards (metadata in test runs: kernel 5.15).
///
/// # Errors
///
/// Of bpf(2).
pub fn question(program: BorrowedFd<'_>, frame: &[u8], interface: u32, question: u32) -> io::Result<u32> {
    const METADATA: usize = 8;
    let mut data = question.to_ne_bytes().to_vec();
    data.resize(METADATA, 0);
    data.extend(frame);
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let context = [METADATA as u32, data.len() as u32, 0, interface, 0, 0];
    let mut after = vec![0_u8; data.len() + METADATA + 2048];
    let mut attr = TestRunAttr {
        program: program.as_raw_fd() as u32,
        data_size_in: data.len() as u32,
        data_size_out: after.len() as u32,
        data_in: data.as_ptr() as u64,
        data_out: after.as_mut_ptr() as u64,
        repeat: 1,
        context_size_in: size_of_val(&context) as u32,
        context_in: context.as_ptr() as u64,
        ..TestRunAttr::default()
    };
    // SAFETY: every pointer is to a buffer of the length beside it, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut attr, size_of::<TestRunAttr>()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u32::from_ne_bytes([after[4], after[5], after[6], after[7]]))
}

/// `BPF_MAP_LOOKUP_BATCH` of `enum bpf_cmd`; for arrays since kernel 5.6.
const LOOKUP_BATCH: libc::c_long = 24;

/// The arm of `union bpf_attr` for many map elements.
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// Reads the first `entries` values of an array in one call, instead of one call for each.
///
/// # Errors
///
/// Of bpf(2); if the array is shorter.
pub fn read_array<V: aya::Pod>(map: BorrowedFd<'_>, entries: u32) -> io::Result<Vec<V>> {
    let mut next = 0_u32;
    let mut keys = vec![0_u32; entries as usize];
    let mut values = Vec::<V>::with_capacity(entries as usize);
    let mut attr = BatchAttr {
        in_batch: 0,
        out_batch: (&raw mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: entries,
        map_fd: map.as_raw_fd() as u32,
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: keys and values have room for `count` elements of the map, and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if attr.count != entries {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    // SAFETY: the kernel has written that many; every pattern of a Pod is a value.
    unsafe { values.set_len(entries as usize) };
    Ok(values)
}
