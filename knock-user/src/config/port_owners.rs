//! Which service protects which port, so that no two lists of ports are compared.

use std::collections::BTreeMap;

use knock_common::packet::Transport;

use super::port::{Port, PortRange};

/// The owner of every port that has one.
#[derive(Default)]
pub(crate) struct PortOwners {
    tcp: Owned,
    udp: Owned,
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
    pub(crate) fn claim(&mut self, ranges: &[PortRange], owner: usize) {
        for range in ranges {
            let owned = match range.transport {
                Transport::Tcp => &mut self.tcp,
                Transport::Udp => &mut self.udp,
            };
            owned.claim(range.first, range.last, owner);
        }
    }

    /// The owner of a port.
    pub(crate) fn owner(&self, port: Port) -> Option<usize> {
        self.first_in(port.into()).map(|(_, owner)| owner)
    }

    /// The first port of a range that has an owner, and the owner.
    pub(crate) fn first_in(&self, range: PortRange) -> Option<(Port, usize)> {
        let owned = match range.transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        };
        let (number, run) = owned.from(range.first).filter(|(number, _)| *number <= range.last)?;
        Some((Port { number, transport: range.transport }, run.owner))
    }
}

/// Runs of ports with one owner each, by their first port. No two of them share a port.
#[derive(Default)]
struct Owned(BTreeMap<u16, Run>);

/// Ports up to and with the last.
#[derive(Clone, Copy)]
struct Run {
    last: u16,
    owner: usize,
}

impl Owned {
    /// The first port from this one on that has an owner, and the run that it is in.
    fn from(&self, port: u16) -> Option<(u16, Run)> {
        let before = self.0.range(..=port).next_back().filter(|(_, run)| run.last >= port);
        let (first, run) = before.or_else(|| self.0.range(port..).next())?;
        Some((port.max(*first), *run))
    }

    fn claim(&mut self, first: u16, last: u16, owner: usize) {
        let mut at = Some(first);
        while let Some(free) = at.filter(|port| *port <= last) {
            let taken = self.from(free).filter(|(number, _)| *number <= last);
            let end = taken.map_or(Some(last), |(number, _)| number.checked_sub(1));
            if let Some(last) = end.filter(|end| *end >= free) {
                self.0.insert(free, Run { last, owner });
            }
            at = taken.and_then(|(_, run)| run.last.checked_add(1));
        }
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
        let first = |text: &str| owners.first_in(range(text)).map(|(port, _)| port.number);
        assert_eq!((first("1-19"), first("1-20"), first("25-90"), first("31-65534")), (None, Some(20), Some(25), None));
        assert_eq!((first("1-65535/udp"), first("65535"), first("31-65535")), (None, Some(65535), Some(65535)));
    }

    #[test]
    fn whatever_is_claimed_each_port_has_its_first_owner() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (mut owners, mut plain) = (PortOwners::default(), vec![None; 64]);
            for owner in 0..8 {
                let (a, b) = (rng.u16(0..64), rng.u16(0..64));
                let (first, last) = (a.min(b), a.max(b));
                owners.claim(&[PortRange { transport: Transport::Tcp, first, last }], owner);
                plain[usize::from(first)..=usize::from(last)].iter_mut().for_each(|port| _ = port.get_or_insert(owner));
            }
            let owner = |number| owners.owner(Port { number, transport: Transport::Tcp });
            assert_eq!((0..64).map(owner).collect::<Vec<_>>(), plain);
        }
        let mut owners = PortOwners::default();
        owners.claim(&[PortRange { transport: Transport::Udp, first: 0, last: u16::MAX }], 1);
        owners.claim(&[PortRange { transport: Transport::Udp, first: 0, last: u16::MAX }], 2);
        assert_eq!(owners.owner(Port { number: u16::MAX, transport: Transport::Udp }), Some(1));
    }
}
