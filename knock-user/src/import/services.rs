//! The services that the doors open: ports that the same doors open are one service, and no port is
//! in two.

use knock_common::packet::Transport;

use crate::config::PortRange;

/// Ports in order, without overlaps or neighbours: two sets are equal if these are.
pub fn normal(ranges: &[PortRange]) -> Vec<PortRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| (range.transport == Transport::Udp, range.first));
    let mut normal: Vec<PortRange> = Vec::new();
    for range in sorted {
        match normal.last_mut() {
            Some(last) if last.transport == range.transport && u32::from(range.first) <= u32::from(last.last) + 1 => {
                last.last = last.last.max(range.last);
            }
            _ => normal.push(range),
        }
    }
    normal
}

/// True if the two have a port in common.
pub fn overlap(one: &[PortRange], other: &[PortRange]) -> bool {
    one.iter().any(|range| other.iter().any(|other| range.shared(*other).is_some()))
}

/// Cuts the ports that doors open into sets, each of which every door opens as a whole or not at
/// all. In the order of the first door that opens them.
pub fn cut(opened: &[&[PortRange]]) -> Vec<Vec<PortRange>> {
    let mut sets: Vec<(Vec<usize>, Vec<PortRange>)> = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp] {
        let ranges =
            || opened.iter().enumerate().flat_map(|(door, ranges)| ranges.iter().map(move |range| (door, *range)));
        let ranges = || ranges().filter(|(_, range)| range.transport == transport);
        let mut edges: Vec<u32> =
            ranges().flat_map(|(_, range)| [u32::from(range.first), u32::from(range.last) + 1]).collect();
        edges.sort_unstable();
        edges.dedup();
        for edge in edges.windows(2) {
            let (Ok(first), Ok(last)) = (u16::try_from(edge[0]), u16::try_from(edge[1] - 1)) else { continue };
            let piece = PortRange { first, last, transport };
            let mut doors: Vec<usize> =
                ranges().filter(|(_, range)| range.shared(piece).is_some()).map(|(door, _)| door).collect();
            doors.dedup();
            if doors.is_empty() {
                continue;
            }
            match sets.iter_mut().find(|(others, _)| *others == doors) {
                Some((_, set)) => set.push(piece),
                None => sets.push((doors, vec![piece])),
            }
        }
    }
    sets.sort_by(|(one, _), (other, _)| one.cmp(other));
    sets.iter().map(|(_, set)| normal(set)).collect()
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
        assert_eq!(normal(&ports("23 22 22 25 53/udp 54/udp")), ports("22-23 25 53-54/udp"));
        assert!(overlap(&ports("20-30"), &ports("30")) && !overlap(&ports("20-30"), &ports("30/udp")));
    }
}
