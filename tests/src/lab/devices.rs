//! Devices that lie on others, between the server and the client, alike at both ends: bonds of wires, and VLANs.
//!
//! Not every kernel has them (modules `bonding` and `8021q`): `cargo xtask kernels` boots some that do.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use anyhow::{Context, Result};
use nix::net::if_::if_nametoindex;

use super::{Family, Host, PATIENCE, Probe, TIMEOUT, connect, ip, until};

/// The wires under a bond. The first is the lab's own.
pub const WIRES: [&str; 2] = ["eth0", "eth2"];
/// A bond.
pub const BOND: &str = "bond0";
/// A VLAN on the lab's own wire.
pub const VLAN: &str = "eth0.5";
/// A VLAN on the bond.
pub const BOND_VLAN: &str = "bond0.5";

/// The link-local address of the client there, as people write it.
pub const LINK_LOCAL_CLIENT: &str = "fe80::52";

/// The link-local address of a host on the device that its addresses were moved to.
const fn link_local(host: Host) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, if matches!(host, Host::Server) { 0x51 } else { 0x52 })
}

/// Makes a second wire from the server to the client.
///
/// # Errors
///
/// If the kernel does not.
pub fn second_wire() -> Result<()> {
    let (wire, queues) = (WIRES[1], "numtxqueues 1 numrxqueues 1");
    ip(Host::Server, &format!("link add {wire} {queues} type veth peer name {wire} {queues} netns client\n"))
}

/// Makes [`BOND`] at both ends, with options of `ip link add ... type bond`, over these wires; the first of them is the
/// active one in a mode that has such.
///
/// # Errors
///
/// If the kernel does not.
pub fn bond(options: &str, wires: &[&str]) -> Result<()> {
    for host in [Host::Server, Host::Client] {
        let mut lines = format!("link add {BOND} type bond miimon 100 {options}\nlink set {BOND} addrgenmode none\n");
        for wire in wires {
            lines += &enslaved(wire);
        }
        if options.contains("active-backup") {
            lines += &format!("link set {BOND} type bond primary {}\n", wires[0]);
        }
        lines += &format!("link set {BOND} up\n");
        ip(host, &lines).context("no bond: it takes the kernel's module bonding")?;
    }
    Ok(())
}

/// Lines that make a wire a port of [`BOND`].
#[must_use]
pub fn enslaved(wire: &str) -> String {
    // A bond takes what is down, and brings it up.
    format!("link set {wire} down\nlink set {wire} master {BOND}\n")
}

/// Takes a wire out of [`BOND`] at both ends, which have their link-local addresses there as well, and waits until the
/// server answers by it.
///
/// # Errors
///
/// If it does not.
pub fn release(wire: &str) -> Result<()> {
    for host in [Host::Server, Host::Client] {
        let own = link_local(host);
        let lines = format!(
            "link set {wire} nomaster\nlink set {wire} addrgenmode none\nlink set {wire} up\naddr add {own}/64 dev {wire} nodad\n"
        );
        ip(host, &lines)?;
    }
    wait_for(link_local_server(wire, 1)?, wire)
}

/// Makes a VLAN at both ends on a device that is there.
///
/// # Errors
///
/// If the kernel does not.
pub fn vlan(name: &str, lower: &str) -> Result<()> {
    for host in [Host::Server, Host::Client] {
        let lines = format!("link add link {lower} name {name} type vlan id 5\nlink set {name} addrgenmode none\n");
        ip(host, &lines).context("no VLAN: it takes the kernel's module 8021q")?;
    }
    Ok(())
}

/// Has frames of the client's VLANs carry their tag themselves, as on a cable. A veth pair else hands it over beside
/// the frame, as a card does that takes tags off.
///
/// # Errors
///
/// If ethtool does not.
pub fn tag_frames(wire: &str) -> Result<()> {
    Host::Client.must(&["ethtool", "-K", wire, "txvlan", "off"]).map(drop)
}

/// Moves the addresses of both ends' `eth0` to a device, each with a link-local one, and waits until the server answers
/// there.
///
/// # Errors
///
/// If it does not.
pub fn move_addresses(device: &str) -> Result<()> {
    for (host, number) in [(Host::Server, 1), (Host::Client, 2)] {
        let own = link_local(host);
        let mut lines = format!(
            "addr flush dev eth0 scope global\nlink set {device} up\naddr add 192.0.2.{number}/24 dev {device}\n\
             addr add 2001:db8:1::{number}/64 dev {device} nodad\naddr add {own}/64 dev {device} nodad\n"
        );
        if host == Host::Client {
            lines += &format!(
                "route replace 0.0.0.0/0 via 192.0.2.1 dev {device}\nroute replace ::/0 via 2001:db8:1::1 dev {device}\n"
            );
        }
        ip(host, &lines)?;
    }
    wait_for_server(device)
}

/// Waits until the client reaches the server by a device, in both families and by the link-local address: a port on
/// which nothing listens refuses.
///
/// # Errors
///
/// If it does not.
pub fn wait_for_server(device: &str) -> Result<()> {
    let families = Family::ALL.map(|family| (family.address(Host::Server), 1).into());
    families.into_iter().chain([link_local_server(device, 1)?]).try_for_each(|to| wait_for(to, device))
}

fn wait_for(to: SocketAddr, device: &str) -> Result<()> {
    until(&format!("the way to {to} by {device}"), TIMEOUT, || {
        (connect(Host::Client, to, PATIENCE).ok()?.0 == Probe::Refused).then_some(())
    })
}

/// A port of the server by its link-local address, as the client says it.
///
/// # Errors
///
/// If the client has no such device.
pub fn link_local_server(device: &str, port: u16) -> Result<SocketAddr> {
    let scope = Host::Client.enter(|| if_nametoindex(device).with_context(|| device.to_owned()))?;
    Ok(SocketAddrV6::new(link_local(Host::Server), port, 0, scope).into())
}
