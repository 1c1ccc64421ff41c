//! Whether the kernel has tables of a packet filter, whatever tools are installed.

use std::fs;
use std::io::{ErrorKind, Result};

use super::netlink::Dump;

/// `NFNL_SUBSYS_NFTABLES`, in the upper octet, with `NFT_MSG_NEWTABLE` and `NFT_MSG_GETTABLE`.
const NEW_TABLE: u16 = 10 << 8;
const GET_TABLE: u16 = NEW_TABLE | 1;

/// True if nftables has one.
///
/// # Errors
///
/// If the kernel does not say: it tells root alone.
pub fn has_nftables() -> Result<bool> {
    let dump = Dump {
        protocol: libc::NETLINK_NETFILTER,
        question: GET_TABLE,
        answer: NEW_TABLE,
        body: &[libc::AF_UNSPEC as u8, 0, 0, 0],
    };
    match dump.read(|_| Ok(Some(()))) {
        Ok(tables) => Ok(!tables.is_empty()),
        // A kernel without nftables.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPROTONOSUPPORT | libc::EOPNOTSUPP)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// True if iptables itself has one, not by nftables.
///
/// # Errors
///
/// If the kernel does not say: it tells root alone.
pub fn has_iptables(v4: bool) -> Result<bool> {
    let path = if v4 { "/proc/net/ip_tables_names" } else { "/proc/net/ip6_tables_names" };
    match fs::read_to_string(path) {
        Ok(names) => Ok(!names.trim().is_empty()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_whether_it_has_tables() {
        let is_root = rustix::process::geteuid().is_root();
        for said in [has_nftables(), has_iptables(true), has_iptables(false)] {
            // Which there are is the host's matter; root is never refused.
            assert!(said.is_ok() || (!is_root && said.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)));
        }
    }
}
