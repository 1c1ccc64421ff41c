//! Pinned links.

use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{bpf, open};

/// `BPF_OBJ_GET`, `BPF_OBJ_GET_INFO_BY_FD`, `BPF_LINK_UPDATE` and `BPF_LINK_DETACH` of `enum bpf_cmd`.
const OBJECT_GET: libc::c_long = 7;
const INFO_BY_FD: libc::c_long = 15;
const LINK_UPDATE: libc::c_long = 29;
pub(super) const LINK_DETACH: libc::c_long = 34;

/// `BPF_LINK_TYPE_XDP` of `enum bpf_link_type`.
const LINK_TYPE_XDP: u32 = 6;

/// The arm of `union bpf_attr` for pins.
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens a pin.
///
/// # Errors
///
/// Of bpf(2).
pub fn open_pin(pin: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    let mut get = PinAttr { path: path.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: the attribute is the arm of this command, which returns a descriptor; the path outlives the call.
    unsafe { open(OBJECT_GET, &mut get) }
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
    let mut number = link.as_raw_fd() as u32;
    // SAFETY: the arm of this command is the descriptor alone.
    match unsafe { bpf(LINK_DETACH, &mut number) } {
        Err(error) if error.raw_os_error() != Some(libc::ENOLINK) => Err(error),
        _ => Ok(()),
    }
}

/// Moves a pinned link to another program, at once.
///
/// # Errors
///
/// Of bpf(2).
pub fn move_link(pin: &Path, program: BorrowedFd<'_>) -> io::Result<()> {
    let link = open_pin(pin)?;
    // The link, the program, flags, and the old program, which is not compared.
    let mut attr = [link.as_raw_fd() as u32, program.as_raw_fd() as u32, 0, 0];
    // SAFETY: the attribute is the arm of this command.
    unsafe { bpf(LINK_UPDATE, &mut attr) }.map(drop)
}

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
    let mut attr =
        InfoAttr { fd: link.as_raw_fd() as u32, length: size_of::<LinkInfo>() as u32, info: (&raw mut info) as u64 };
    // SAFETY: the kernel writes at most `length` bytes to `info`, which outlives the call.
    unsafe { bpf(INFO_BY_FD, &mut attr) }?;
    match info.kind {
        LINK_TYPE_XDP => Ok((info.program, info.ifindex)),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}
