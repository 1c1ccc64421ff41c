//! The wire of a host: frames go out and come in as they are.

use std::io::{ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::kernel::Bare;

use super::{Family, Host, SERVER_INTERFACES};

/// The wire between a host and the server, tapped at the host's end.
pub struct Wire {
    socket: Socket,
    _link: Option<OwnedFd>,
    server: [u8; 6],
    host: [u8; 6],
}

impl Wire {
    /// Taps it. From then on the host takes what an XDP program sends back over a veth pair: the kernel
    /// delivers that only to an end that has an XDP program as well (`veth_xdp_flush`).
    ///
    /// # Errors
    ///
    /// If the kernel does not let it.
    pub fn tap(host: Host) -> Result<Self> {
        let link = host.enter(|| Bare::load()?.attach("eth0"))?;
        Ok(Self { _link: Some(link), ..Self::tap_alone(host)? })
    }

    /// Taps it, for what generic XDP sends back: no program is in the way of jumbo frames.
    ///
    /// # Errors
    ///
    /// If the kernel does not let it.
    pub fn tap_alone(host: Host) -> Result<Self> {
        let interface = SERVER_INTERFACES[usize::from(host == Host::Stranger)];
        // The server's stack would leave its checksums to a device that is not there.
        Host::Server.must(&["ethtool", "-K", interface, "tx", "off"])?;
        let server = mac(Host::Server, interface)?;
        let own = mac(host, "eth0")?;
        let socket = host.enter(|| {
            let index = nix::net::if_::if_nametoindex("eth0")?;
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(ALL.to_be()))))?;
            socket.bind(&address(index, ALL)?)?;
            Ok(socket)
        })?;
        Ok(Self { socket, _link: None, server, host: own })
    }

    /// Sends a frame from the host's MAC to the server's, or to the group's if it is to one.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let mut frame = frame.to_vec();
        if frame[0] & 1 == 0 {
            frame[..6].copy_from_slice(&self.server);
        }
        frame[6..12].copy_from_slice(&self.host);
        self.socket.send(&frame)?;
        Ok(())
    }

    /// The next frame from the server within `patience` that is wanted.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn receive(&self, patience: Duration, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>> {
        let start = Instant::now();
        let mut frame = vec![0; 0x1_0000];
        while let Some(left) = patience.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left))?;
            match (&self.socket).read(&mut frame) {
                Ok(length) if length >= 14 && frame[6..12] == self.server && frame[..6] == self.host => {
                    if wanted(&frame[..length]) {
                        return Ok(Some(frame[..length].to_vec()));
                    }
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

const ALL: u16 = libc::ETH_P_ALL as u16;

/// A socket on this thread's `eth0` that sends frames and receives none.
pub(super) fn sender() -> Result<Socket> {
    let index = nix::net::if_::if_nametoindex("eth0")?;
    let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
    socket.bind(&address(index, 0)?)?;
    Ok(socket)
}

/// `struct sockaddr_ll` of an interface.
fn address(index: u32, protocol: u16) -> Result<SockAddr> {
    // SAFETY: the storage is zeroed and larger than a sockaddr_ll, which is written into it whole.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let ll = storage.cast::<libc::sockaddr_ll>();
            (*ll).sll_family = libc::AF_PACKET as u16;
            (*ll).sll_protocol = protocol.to_be();
            (*ll).sll_ifindex = index as i32;
            *length = size_of::<libc::sockaddr_ll>() as u32;
            Ok(())
        })
    }?;
    Ok(address)
}

pub(super) fn mac(host: Host, interface: &str) -> Result<[u8; 6]> {
    let text = host.must(&["ip", "-j", "link", "show", "dev", interface])?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let address = json[0]["address"].as_str().context("no address")?;
    let octets: Vec<u8> = address.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect::<Result<_, _>>()?;
    ensure!(octets.len() == 6, "{address}");
    Ok(octets.try_into().expect("six octets"))
}

/// The IP packet of a frame without VLAN tags, without the padding behind it.
#[must_use]
pub fn ip_packet(frame: &[u8], family: Family) -> Option<&[u8]> {
    let packet = frame.get(14..)?;
    let length = |at: usize| Some(usize::from(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?])));
    match (<[u8; 2]>::try_from(&frame[12..14]).ok()?, family) {
        ([0x08, 0x00], Family::V4) => packet.get(..length(2)?),
        ([0x86, 0xdd], Family::V6) => packet.get(..40 + length(4)?),
        _ => None,
    }
}
