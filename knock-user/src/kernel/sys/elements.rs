//! Elements of maps, for which aya has no call.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::bpf;

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
    let mut value = MaybeUninit::<V>::zeroed();
    let mut attr = ElementAttr {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: std::ptr::from_ref(key) as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value have the sizes that the map was opened with, and outlive the call.
    match unsafe { bpf(LOOKUP_AND_DELETE, &mut attr) } {
        // SAFETY: zeroed, and then written by the kernel; every pattern of a Pod is a value.
        Ok(_) => Ok(Some(unsafe { value.assume_init() })),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
