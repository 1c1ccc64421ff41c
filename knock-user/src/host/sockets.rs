//! Listening sockets of TCP, asked for by sock_diag(7). The table under `/proc/net` has all sockets, and to go through
//! the kernel's for them takes milliseconds, even if there is none.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// `NLMSG_ERROR`.
const FAILED: u16 = 2;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `TCP_LISTEN`, as a set of states.
const LISTEN: u32 = 1 << 10;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// The longest that the kernel may take: it answers while it is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Addresses and ports of the sockets that listen, of both families.
///
/// # Errors
///
/// If this kernel cannot be asked.
pub fn listening() -> Result<Vec<(IpAddr, u16)>> {
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW.cloexec(),
        Some(Protocol::from(libc::NETLINK_SOCK_DIAG)),
    )?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        socket.write_all(&request(family as u8))?;
        let mut answer = vec![0; 1 << 15];
        loop {
            let length = socket.read(&mut answer)?;
            if messages(&answer[..length], &mut found)? {
                break;
            }
        }
    }
    Ok(found)
}

/// A header, and `struct inet_diag_req_v2` for all addresses.
fn request(family: u8) -> Vec<u8> {
    let mut octets = Vec::with_capacity(HEADER + REQUEST);
    octets.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    octets.extend(BY_FAMILY.to_ne_bytes());
    octets.extend(DUMP.to_ne_bytes());
    octets.extend([0; 8]);
    octets.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    octets.extend(LISTEN.to_ne_bytes());
    octets.resize(HEADER + REQUEST, 0);
    octets
}

/// Takes what some messages tell of; true if the last was among them.
fn messages(mut octets: &[u8], found: &mut Vec<(IpAddr, u16)>) -> Result<bool> {
    let nonsense = || Error::new(ErrorKind::InvalidData, "no message of netlink");
    while !octets.is_empty() {
        let length = octets.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize);
        let length = length.filter(|length| (HEADER..=octets.len()).contains(length)).ok_or_else(nonsense)?;
        let body = &octets[HEADER..length];
        match u16::from_ne_bytes([octets[4], octets[5]]) {
            DONE => return Ok(true),
            FAILED => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return Err(Error::from_raw_os_error(code.wrapping_neg()));
            }
            BY_FAMILY => found.push(socket_of(body).ok_or_else(nonsense)?),
            _ => {}
        }
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// The beginning of `struct inet_diag_msg`: family, state, timer, retransmissions; ports; the own address.
fn socket_of(body: &[u8]) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(*body.get(4..)?.first_chunk()?);
    let address = match i32::from(*body.first()?) {
        libc::AF_INET => IpAddr::from(*body.get(8..)?.first_chunk::<4>()?),
        _ => IpAddr::from(Ipv6Addr::from(*body.get(8..)?.first_chunk::<16>()?)).to_canonical(),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_tells_of_listeners_of_both_families() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(host) else { continue };
            let address = listener.local_addr().unwrap();
            let found = listening().unwrap();
            assert!(found.contains(&(address.ip(), address.port())), "{address} is not in {found:?}");
            drop(listener);
            assert!(!listening().unwrap().contains(&(address.ip(), address.port())));
        }
    }

    #[test]
    fn broken_answers_are_errors() {
        let mut found = Vec::new();
        let mut message = request(2);
        assert!(messages(&message[..20], &mut found).is_err());
        message[..4].copy_from_slice(&3u32.to_ne_bytes());
        assert!(messages(&message, &mut found).is_err());
        let mut short = [20u32.to_ne_bytes().to_vec(), BY_FAMILY.to_ne_bytes().to_vec()].concat();
        short.resize(20, 0);
        assert!(messages(&short, &mut found).is_err());
        let mut failed = [20u32.to_ne_bytes().to_vec(), FAILED.to_ne_bytes().to_vec()].concat();
        failed.resize(16, 0);
        failed.extend((-libc::ENOENT).to_ne_bytes());
        assert_eq!(messages(&failed, &mut found).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        assert!(found.is_empty());
    }
}
