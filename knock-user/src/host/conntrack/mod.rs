//! What the kernel's connection tracking knows, asked for by ctnetlink. The kernel is asked only if it tracks: the
//! question itself would load its modules.

mod cut;
mod entry;
mod flows;

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

pub use cut::{cut, delete};
pub use entry::{TcpState, Tracked, Tuple, Zone};
pub use flows::Flow;

use super::netlink::Dump;

/// `NFNL_SUBSYS_CTNETLINK`, in the upper octet of a type.
const CONNTRACK: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_NEW`: what an entry is told as.
const NEW: u16 = CONNTRACK;
/// `IPCTNL_MSG_CT_GET`.
const GET: u16 = CONNTRACK | 1;
/// `IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = CONNTRACK | 2;
/// `struct nfgenmsg`: family, version, resource.
const HEADER: usize = 4;

/// What there is, once a kernel tracks connections: of this network namespace, and of the whole system. The former is
/// hidden in some containers, the latter where there is no sysfs.
const SIGNS: [&str; 2] = ["/proc/sys/net/netfilter/nf_conntrack_count", "/sys/module/nf_conntrack"];

/// True if this kernel has connection tracking at work or at hand. A module that was never loaded is not.
#[must_use]
pub fn is_there() -> bool {
    SIGNS.iter().any(|path| Path::new(path).exists())
}

/// The entries of TCP and UDP, of both families, of this network namespace, that `wants` wants. `None` if this kernel
/// tracks no connections; nothing has been loaded then, and nothing begins to track. `wants` is asked while the table is
/// read, maybe twice of one entry, so that a huge table needs no memory.
///
/// # Errors
///
/// With [`ErrorKind::PermissionDenied`] without `CAP_NET_ADMIN`, [`ErrorKind::Unsupported`] if the kernel tracks and cannot be
/// asked, and if it refuses or tells nonsense.
pub fn dump(mut wants: impl FnMut(&Tracked) -> bool) -> Result<Option<Vec<Tracked>>> {
    if !is_there() {
        return Ok(None);
    }
    let question =
        Dump { protocol: libc::NETLINK_NETFILTER, question: GET, answer: NEW, body: &header(libc::AF_UNSPEC) };
    let found = question.read(|body| Ok(Tracked::read(body)?.filter(|entry| wants(entry))));
    found.map(Some).map_err(explain)
}

/// `struct nfgenmsg`.
fn header(family: i32) -> [u8; HEADER] {
    [family as u8, 0, 0, 0]
}

/// Says what is missing, where the kernel's number does not.
fn explain(error: Error) -> Error {
    match error.raw_os_error() {
        // No such subsystem of nfnetlink; no nfnetlink.
        Some(libc::EINVAL | libc::EPROTONOSUPPORT) => Error::new(
            ErrorKind::Unsupported,
            "this kernel tracks connections, and cannot be asked for them (CONFIG_NF_CT_NETLINK)",
        ),
        _ => error,
    }
}
