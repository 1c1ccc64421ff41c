//! Who is at the other end of a socket, as the kernel says it.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd as _};

use tokio::net::UnixStream;

/// Groups for which there is room at first; the kernel says if there are more.
const GROUPS: usize = 64;

/// The user who is there, if it is root, or a process of the group when it connected.
///
/// # Errors
///
/// Of the system call.
pub fn member(socket: &UnixStream, group: u32) -> io::Result<Option<u32>> {
    let peer = socket.peer_cred()?;
    let is_member = peer.uid() == 0 || peer.gid() == group || groups(socket)?.contains(&group);
    Ok(is_member.then(|| peer.uid()))
}

/// The supplementary groups of the other end (`SO_PEERGROUPS`, Linux 4.13).
fn groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let socket = socket.as_fd().as_raw_fd();
    let mut groups = vec![0_u32; GROUPS];
    loop {
        let mut length = (groups.len() * size_of::<u32>()) as libc::socklen_t;
        let place = groups.as_mut_ptr().cast();
        // SAFETY: the place has room for `length` octets, and outlives the call, which says how many it has filled.
        let result = unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERGROUPS, place, &raw mut length) };
        let count = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
