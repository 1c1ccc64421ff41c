//! A guest of the server: one more host, which the others reach through it alone.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context, Result};

use super::network::Namespace;
use super::{Family, Host, Probe, TIMEOUT, connect, ip, sandbox, until};

/// The server's interface to it.
const INTERFACE: &str = "guest0";
/// The bridge of the server.
pub const BRIDGE: &str = "br0";

/// The guest, until it is dropped.
pub struct Guest {
    is_bridged: bool,
    _namespace: Namespace,
}

impl Guest {
    /// Behind a network of its own, to which the server routes.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn routed() -> Result<Self> {
        let guest = Self::made(false)?;
        let (v4, v6) = (Family::V4.address(Host::Guest), Family::V6.address(Host::Guest));
        ip(
            Host::Server,
            &format!("addr add 203.0.113.129/28 dev {INTERFACE}\naddr add 2001:db8:8::1/64 dev {INTERFACE} nodad\n"),
        )?;
        ip(
            Host::Guest,
            &format!(
                "addr add {v4}/28 dev eth0\naddr add {v6}/64 dev eth0 nodad\n\
                 route add 0.0.0.0/0 via 203.0.113.129\nroute add ::/0 via 2001:db8:8::1\n"
            ),
        )?;
        guest.wait()
    }

    /// On the client's network, which the server bridges to it: the server's `eth0` is a port of [`BRIDGE`] then,
    /// which has its addresses.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn bridged() -> Result<Self> {
        bridge()?;
        let guest = Self::made(true)?;
        ip(Host::Server, &format!("link set {INTERFACE} master {BRIDGE}\n"))?;
        let [v4, v6] = Family::ALL.map(|family| guest.address(family));
        ip(
            Host::Guest,
            &format!(
                "addr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\n\
                 route add 0.0.0.0/0 via 192.0.2.1\nroute add ::/0 via 2001:db8:1::1\n"
            ),
        )?;
        guest.wait()
    }

    /// A namespace with a wire to the server, which forwards.
    fn made(is_bridged: bool) -> Result<Self> {
        let guest = Self { is_bridged, _namespace: Namespace::new(Host::Guest)? };
        forward(Host::Server)?;
        let queues = "numtxqueues 1 numrxqueues 1";
        ip(
            Host::Server,
            &format!(
                "link add {INTERFACE} {queues} type veth peer name eth0 {queues} netns guest\nlink set {INTERFACE} up\n"
            ),
        )?;
        ip(Host::Guest, "link set eth0 up\n")?;
        Ok(guest)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self, family: Family) -> IpAddr {
        match (family, self.is_bridged) {
            (_, false) => family.address(Host::Guest),
            (Family::V4, true) => [192, 0, 2, 3].into(),
            (Family::V6, true) => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 3).into(),
        }
    }

    /// Once the client and the stranger reach it: a port on which nothing listens refuses.
    fn wait(self) -> Result<Self> {
        for family in Family::ALL {
            for host in [Host::Client, Host::Stranger] {
                let to = (self.address(family), 1).into();
                until("the way to the guest", TIMEOUT, || {
                    matches!(connect(host, to, super::PATIENCE), Ok((Probe::Refused, _))).then_some(())
                })?;
            }
        }
        Ok(self)
    }
}

/// Makes the server's `eth0` a port of a bridge, which gets its addresses and its MAC.
///
/// # Errors
///
/// If the kernel does not.
pub fn bridge() -> Result<()> {
    let mac = super::wire::mac(Host::Server, "eth0")?.map(|octet| format!("{octet:02x}")).join(":");
    ip(
        Host::Server,
        &format!("link add {BRIDGE} address {mac} type bridge forward_delay 0\nlink set eth0 master {BRIDGE}\n"),
    )?;
    ip(Host::Server, &moved_addresses(BRIDGE))
}

/// Lines that move the server's addresses from `eth0` to another device.
#[must_use]
pub fn moved_addresses(to: &str) -> String {
    format!(
        "addr flush dev eth0\nlink set eth0 up\naddr add 192.0.2.1/24 dev {to}\n\
         addr add 2001:db8:1::1/64 dev {to} nodad\nlink set {to} up\n"
    )
}

/// Makes a host a router, of both families.
fn forward(host: Host) -> Result<()> {
    for name in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        setting(host, name, "1")?;
    }
    Ok(())
}

/// Changes a setting of a host, by its path under `/proc/sys`.
///
/// # Errors
///
/// If the kernel has none of that name, or does not take the value.
pub fn setting(host: Host, name: &str, value: &str) -> Result<()> {
    host.enter(|| fs::write(Path::new("/proc/sys").join(name), value).context(name.to_owned()))
}

/// Gives rules to a host's netfilter, as nft(8) reads them.
///
/// # Errors
///
/// If it does not take them; with what it says.
pub fn nft(host: Host, rules: &str) -> Result<()> {
    let file = Path::new(sandbox::DIR).join("rules.nft");
    fs::write(&file, rules)?;
    host.must(&["nft", "-f", &file.display().to_string()]).map(drop)
}
