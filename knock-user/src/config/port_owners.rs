//! Which service protects which port: a table of all ports, so that no two lists of ports are compared.

use knock_common::packet::Transport;

use super::port::{Port, PortRange};

/// Ports of one transport.
const PORTS: usize = 1 << 16;

/// The owner of every port, if it has one.
pub(crate) struct PortOwners {
    tcp: Vec<Option<u16>>,
    udp: Vec<Option<u16>>,
}

impl Default for PortOwners {
    fn default() -> Self {
        Self { tcp: vec![None; PORTS], udp: vec![None; PORTS] }
    }
}

impl PortOwners {
    /// The ports of services, by their indices. Of services that share a port, the first has it.
    pub(crate) fn of<'a>(services: impl IntoIterator<Item = &'a [PortRange]>) -> Self {
        let mut owners = Self::default();
        for (ranges, index) in services.into_iter().zip(0..) {
            owners.claim(ranges, index);
        }
        owners
    }

    /// Gives those of these ports to an owner that have none.
    pub(crate) fn claim(&mut self, ranges: &[PortRange], owner: u16) {
        for range in PortRange::joined(ranges) {
            let ports = match range.transport {
                Transport::Tcp => &mut self.tcp,
                Transport::Udp => &mut self.udp,
            };
            for port in &mut ports[usize::from(range.first)..=usize::from(range.last)] {
                port.get_or_insert(owner);
            }
        }
    }

    /// The owner of a port.
    pub(crate) fn owner(&self, port: Port) -> Option<usize> {
        self.ports(port.transport)[usize::from(port.number)].map(usize::from)
    }

    /// Where the next port is that has an owner, as it is now.
    pub(crate) fn next(&self) -> NextOwned {
        let next = |ports: &[Option<u16>]| {
            let mut next = vec![None; PORTS];
            let mut at = None;
            for (number, port) in (0..=u16::MAX).zip(ports).rev() {
                at = port.map(|_| number).or(at);
                next[usize::from(number)] = at;
            }
            next
        };
        NextOwned { tcp: next(&self.tcp), udp: next(&self.udp) }
    }

    fn ports(&self, transport: Transport) -> &[Option<u16>] {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// For each port itself, or the next one above it that has an owner.
pub(crate) struct NextOwned {
    tcp: Vec<Option<u16>>,
    udp: Vec<Option<u16>>,
}

impl NextOwned {
    /// The first port of a range that has an owner.
    pub(crate) fn first_in(&self, range: PortRange) -> Option<Port> {
        let ports = match range.transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        };
        let number = ports[usize::from(range.first)].filter(|number| *number <= range.last)?;
        Some(Port { number, transport: range.transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortNames;

    fn range(text: &str) -> PortRange {
        PortRange::parse(text, &PortNames::default()).unwrap()
    }

    #[test]
    fn a_port_has_the_first_owner_that_claims_it() {
        let services = [vec![range("20-30"), range("25-40")], vec![range("40-50"), range("20-30/udp")]];
        let owners = PortOwners::of(services.iter().map(Vec::as_slice));
        let owner = |text: &str| owners.owner(range(text).ports().next().unwrap());
        assert_eq!((owner("19"), owner("20"), owner("40"), owner("41")), (None, Some(0), Some(0), Some(1)));
        assert_eq!((owner("30/udp"), owner("31/udp")), (Some(1), None));
    }

    #[test]
    fn the_first_owned_port_of_a_range_is_found() {
        let owners = PortOwners::of([&[range("20-30"), range("65535")][..]]);
        let first = |text: &str| owners.next().first_in(range(text)).map(|port| port.number);
        assert_eq!((first("1-19"), first("1-20"), first("25-90"), first("31-65534")), (None, Some(20), Some(25), None));
        assert_eq!((first("1-65535/udp"), first("65535"), first("31-65535")), (None, Some(65535), Some(65535)));
    }
}
