//! What a config is held against: this host, or in a test none.

use std::fs::{self, Metadata};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knock_common::packet::Transport;

use super::Severity;
use super::port::Port;
use super::port_names::PortNames;
use crate::host::ephemeral::Ephemeral;
use crate::host::sockets;
use crate::permissions::Permissions;

/// What matters of a host.
#[derive(Default)]
pub(super) struct Host {
    /// What it calls its ports.
    pub(super) names: PortNames,
    /// Ports on which something listens that others can reach.
    pub(super) listeners: Vec<Port>,
    /// The ports that it gives to sockets that ask for none, where that can be told.
    pub(super) ephemeral: Option<Ephemeral>,
    /// Permissions of the config file, if it is one.
    pub(super) permissions: Option<Permissions>,
    /// The file is where it is to be used: what others can do to it, and to those that it names, counts.
    pub(super) in_place: bool,
}

impl Host {
    /// This host, in this network namespace, now.
    pub(super) fn here(about: &Metadata, in_place: bool) -> Self {
        let mut listeners = Vec::new();
        let mut tables = &TABLES[..];
        if let Ok(found) = sockets::listening() {
            let reachable = found.into_iter().filter(|(address, _)| !address.is_loopback());
            listeners.extend(reachable.map(|(_, number)| Port { number, transport: Transport::Tcp }));
            tables = &TABLES[2..];
        }
        for &(path, transport) in tables {
            // A kernel without IPv6 has no tables for it.
            listeners.extend(fs::read_to_string(path).iter().flat_map(|text| parse_listeners(text, transport)));
        }
        // A pipe, such as that of `check /dev/stdin`, is nobody's to open.
        let permissions = about.is_file().then(|| Permissions::of(about));
        let ephemeral = Ephemeral::here().ok();
        Self { names: PortNames::of_host(), listeners, ephemeral, permissions, in_place }
    }

    /// What there is to say of a file with these permissions, as bad as it is for where the file is.
    pub(super) fn fault(&self, permissions: Permissions) -> Option<(Severity, String)> {
        let (severity, text) = permissions.fault()?;
        Some((if self.in_place { severity } else { Severity::Warning }, text))
    }
}

/// What there is to be read where the kernel cannot be asked; TCP first.
const TABLES: [(&str, Transport); 4] = [
    ("/proc/net/tcp", Transport::Tcp),
    ("/proc/net/tcp6", Transport::Tcp),
    ("/proc/net/udp", Transport::Udp),
    ("/proc/net/udp6", Transport::Udp),
];

/// The listening ports in a table under `/proc/net` (see proc_net_tcp.txt of the kernel), without
/// those that only this host itself can reach.
fn parse_listeners(table: &str, transport: Transport) -> Vec<Port> {
    // LISTEN, and for UDP CLOSE: bound, but not connected.
    let state = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    let listener = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        if words.nth(1)? != state || parse_address(address)?.is_loopback() {
            return None;
        }
        u16::from_str_radix(port, 16).ok().map(|number| Port { number, transport })
    };
    table.lines().skip(1).filter_map(listener).collect()
}

/// Words of 32 bits in the host's order, in hexadecimal.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let mut octets = [0; 16];
    let words = octets.chunks_exact_mut(4).zip(0..hex.len() / 8);
    for (octets, index) in words {
        let word = u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok()?;
        octets.copy_from_slice(&word.to_ne_bytes());
    }
    match hex.len() {
        8 => Some(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()),
        32 => Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

    fn tcp(line: &str) -> Vec<u16> {
        parse_listeners(&format!("{HEAD}{line}\n"), Transport::Tcp).iter().map(|port| port.number).collect()
    }

    #[test]
    fn listening_sockets_are_found_and_others_are_not() {
        assert_eq!(tcp("   0: 00000000:1B58 00000000:0000 0A 00000000:00000000 00:00000000 0"), [7000]);
        assert!(tcp("   0: 00000000:1B58 070200C0:D431 01 00000000:00000000 00:00000000 0").is_empty());
        assert!(tcp("nonsense").is_empty());
        assert!(tcp("   0: 0000:1B58 00000000:0000 0A 0:0").is_empty());
        assert_eq!(tcp(&format!("   0: {}:1B58 {}:0000 0A 0:0", "0".repeat(32), "0".repeat(32))), [7000]);
    }

    #[test]
    fn loopback_alone_is_no_listener() {
        let v4 = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        assert!(tcp(&format!("   0: {v4}:1B58 00000000:0000 0A 0:0")).is_empty());
        let v6 = format!("{}{:08X}", "0".repeat(24), u32::from_ne_bytes([0, 0, 0, 1]));
        assert!(tcp(&format!("   0: {v6}:1B58 {v6}:0000 0A 0:0")).is_empty());
    }

    #[test]
    fn a_bound_udp_socket_listens_and_a_connected_one_does_not() {
        let table = format!("{HEAD}  1: 00000000:0035 00000000:0000 07 0:0\n  2: 00000000:0036 070200C0:0035 01 0:0\n");
        assert_eq!(parse_listeners(&table, Transport::Udp), [Port { number: 53, transport: Transport::Udp }]);
    }
}
