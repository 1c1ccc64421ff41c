//! The services that the doors open: ports that the same doors open are one service, and no port is
//! in two.

use std::collections::{BTreeMap, BTreeSet};

use knock_common::packet::Transport;

use crate::config::PortRange;

/// True if the two have a port in common; each is as [`PortRange::joined`] makes them.
pub fn overlap(one: &[PortRange], other: &[PortRange]) -> bool {
    crate::syntax::work::note();
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    while let (Some(here), Some(there)) = (one.peek(), other.peek()) {
        if here.shared(**there).is_some() {
            return true;
        }
        if here.order() < there.order() {
            one.next()
        } else {
            other.next()
        };
    }
    false
}

/// Cuts the ports that doors open into sets, each of which every door opens as a whole or not at
/// all. In the order of the first door that opens them.
pub fn cut(opened: &[&[PortRange]]) -> Vec<Vec<PortRange>> {
    let mut sets: BTreeMap<Vec<usize>, Vec<PortRange>> = BTreeMap::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        // By port, which doors open it and not the one before, and the other way round.
        let mut edges: BTreeMap<u32, Vec<(usize, bool)>> = BTreeMap::new();
        for (door, ranges) in opened.iter().enumerate() {
            for range in PortRange::joined(ranges).iter().filter(|range| range.transport == transport) {
                edges.entry(range.first.into()).or_default().push((door, true));
                edges.entry(u32::from(range.last) + 1).or_default().push((door, false));
            }
        }
        let mut doors = BTreeSet::new();
        let mut edges = edges.into_iter().peekable();
        while let (Some((edge, changes)), Some((next, _))) = (edges.next(), edges.peek()) {
            for (door, begins) in changes {
                if begins {
                    doors.insert(door)
                } else {
                    doors.remove(&door)
                };
            }
            let (Ok(first), Ok(last)) = (u16::try_from(edge), u16::try_from(next - 1)) else { continue };
            if !doors.is_empty() {
                let set = sets.entry(doors.iter().copied().collect()).or_default();
                set.push(PortRange { first, last, transport });
            }
        }
    }
    sets.into_values().map(|set| PortRange::joined(&set)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortNames;

    fn ports(text: &str) -> Vec<PortRange> {
        text.split_whitespace().map(|port| PortRange::parse(port, &PortNames::default()).unwrap()).collect()
    }

    fn cut_up(doors: &[&str]) -> Vec<String> {
        let doors: Vec<_> = doors.iter().map(|text| ports(text)).collect();
        let doors: Vec<_> = doors.iter().map(Vec::as_slice).collect();
        let word = |set: &Vec<PortRange>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        cut(&doors).iter().map(word).collect()
    }

    #[test]
    fn no_port_is_in_two_services() {
        assert_eq!(cut_up(&["22", "22"]), ["22/tcp"]);
        assert_eq!(cut_up(&["22", "80 443"]), ["22/tcp", "80/tcp 443/tcp"]);
        assert_eq!(cut_up(&["22 80", "80"]), ["22/tcp", "80/tcp"]);
        assert_eq!(cut_up(&["1000-2000 53/udp", "1500"]), ["1000-1499/tcp 1501-2000/tcp 53/udp", "1500/tcp"]);
        assert_eq!(cut_up(&["1-65535", "65535"]), ["1-65534/tcp", "65535/tcp"]);
        assert_eq!(cut_up(&[]), [""; 0]);
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(PortRange::joined(&ports("54/udp 23 22 22 25 53/udp")), ports("22-23 25 53-54/udp"));
    }

    #[test]
    fn one_port_in_common_is_an_overlap() {
        assert!(overlap(&ports("1 5-9 30/udp"), &ports("2-4 10-20 25-31/udp")));
        assert!(!overlap(&ports("1 5-9 30/udp"), &ports("2-4 10-20 31/udp")));
        assert!(overlap(&ports("20-30"), &ports("30")) && !overlap(&ports("20-30"), &ports("30/udp")));
    }
}
