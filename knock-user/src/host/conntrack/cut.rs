//! Entries that are taken out, so that the kernel forgets a connection and what it did to its addresses.

use std::io::Result;
use std::net::IpAddr;

use knock_common::packet::Transport;

use super::entry::{
    DESTINATION_PORT, ID, PROTOCOL_NUMBER, SOURCE_PORT, TUPLE_IP, TUPLE_ORIGINAL, TUPLE_PROTOCOL, TUPLE_ZONE, Tracked,
    ZONE,
};
use super::{DELETE, dump, explain, header};
use crate::host::netlink::Channel;
use crate::syntax::Port;

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// Takes out what somebody of `sources` has begun with a port that is `protected`, whether it stands or not. Says which
/// entries those were; none if this kernel tracks no connections.
///
/// # Errors
///
/// As [`dump`]. What was deleted before stays so.
pub fn cut(sources: impl Fn(IpAddr) -> bool, protected: impl Fn(Port) -> bool) -> Result<Vec<Tracked>> {
    let is_meant = |entry: &Tracked| {
        let port = Port { number: entry.original.destination_port, transport: entry.transport };
        sources(entry.original.source.to_canonical()) && protected(port)
    };
    delete(dump(is_meant)?.unwrap_or_default())
}

/// Takes these entries out, if they are still there. Says which were. An entry of the same addresses and ports with another
/// [`id`](Tracked::id) stays.
///
/// # Errors
///
/// If the kernel refuses. What was deleted before stays so.
pub fn delete(entries: Vec<Tracked>) -> Result<Vec<Tracked>> {
    if entries.is_empty() {
        return Ok(entries);
    }
    let mut channel = Channel::of(libc::NETLINK_NETFILTER).map_err(explain)?;
    let mut deleted = Vec::new();
    for entry in entries {
        match channel.order(DELETE, &order(&entry)) {
            Ok(()) => deleted.push(entry),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(explain(error)),
        }
    }
    Ok(deleted)
}

/// The body of the order. It always has a tuple: without one, the kernel would delete everything.
fn order(entry: &Tracked) -> Vec<u8> {
    let (family, kinds) =
        if entry.original.source.is_ipv4() { (libc::AF_INET, [1, 2]) } else { (libc::AF_INET6, [3, 4]) };
    let mut ip = Vec::new();
    for (kind, address) in kinds.into_iter().zip([entry.original.source, entry.original.destination]) {
        match address {
            IpAddr::V4(address) => put(&mut ip, kind, &address.octets()),
            IpAddr::V6(address) => put(&mut ip, kind, &address.octets()),
        }
    }
    let number = match entry.transport {
        Transport::Tcp => libc::IPPROTO_TCP,
        Transport::Udp => libc::IPPROTO_UDP,
    };
    let mut protocol = Vec::new();
    put(&mut protocol, PROTOCOL_NUMBER, &[number as u8]);
    put(&mut protocol, SOURCE_PORT, &entry.original.source_port.to_be_bytes());
    put(&mut protocol, DESTINATION_PORT, &entry.original.destination_port.to_be_bytes());
    let mut tuple = Vec::new();
    put(&mut tuple, NESTED | TUPLE_IP, &ip);
    put(&mut tuple, NESTED | TUPLE_PROTOCOL, &protocol);
    if let Some(zone) = entry.zone.original {
        put(&mut tuple, TUPLE_ZONE, &zone.to_be_bytes());
    }
    let mut octets = header(family).to_vec();
    put(&mut octets, NESTED | TUPLE_ORIGINAL, &tuple);
    put(&mut octets, ID, &entry.id.to_be_bytes());
    if let Some(zone) = entry.zone.both {
        put(&mut octets, ZONE, &zone.to_be_bytes());
    }
    octets
}

/// Adds an attribute, and fills it up to four octets.
pub(super) fn put(octets: &mut Vec<u8>, kind: u16, value: &[u8]) {
    octets.extend(((4 + value.len()) as u16).to_ne_bytes());
    octets.extend(kind.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::tracked;
    use super::super::entry::{Tuple, Zone};
    use super::*;

    /// The order holds what an entry is told by, so that the reader can say what it is about: it takes the tuple for that
    /// of both directions.
    fn read_back(entry: &Tracked) -> Tracked {
        let mut octets = order(entry);
        let tuple = octets[8..4 + usize::from(u16::from_ne_bytes([octets[4], octets[5]]))].to_vec();
        put(&mut octets, NESTED | 2, &tuple);
        Tracked::read(&octets).unwrap().unwrap()
    }

    #[test]
    fn an_order_names_one_entry() {
        let v4 = tracked();
        let v6 = Tracked {
            transport: Transport::Udp,
            original: Tuple {
                source: [1_u16; 8].into(),
                destination: [2_u16; 8].into(),
                source_port: 3,
                destination_port: 4,
            },
            zone: Zone { both: None, original: Some(6) },
            ..tracked()
        };
        for entry in [v4.clone(), v6, Tracked { zone: Zone { both: Some(5), original: None }, ..v4 }] {
            let back = read_back(&entry);
            assert_eq!((back.transport, back.original), (entry.transport, entry.original));
            assert_eq!((back.id, back.zone), (entry.id, entry.zone));
        }
    }
}
