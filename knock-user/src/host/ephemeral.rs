//! The ports that the kernel gives to sockets that ask for none: `ip_local_port_range` of ip-sysctl.rst, without those of
//! `ip_local_reserved_ports`. They are the same for both families.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::ops::RangeInclusive;
use std::path::Path;

use knock_common::packet::Transport;

use crate::syntax::PortRange;

/// Where both are, for the network namespace of whoever reads them.
const DIR: &str = "/proc/sys/net/ipv4";
/// One more than the highest port.
const PORTS: usize = 1 << 16;

/// The ephemeral ports of a network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ephemeral {
    range: RangeInclusive<u16>,
    /// By port.
    reserved: Vec<bool>,
}

impl Ephemeral {
    /// Those of this network namespace.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn here() -> Result<Self> {
        let read = |name: &str| fs::read_to_string(Path::new(DIR).join(name));
        let (range, reserved) = (read("ip_local_port_range")?, read("ip_local_reserved_ports")?);
        Self::parse(&range, &reserved).ok_or_else(|| Error::new(ErrorKind::InvalidData, "no ranges of ports"))
    }

    /// Reads two numbers, and a list such as `8080,9148-9150`, which may be empty.
    #[must_use]
    pub fn parse(range: &str, reserved: &str) -> Option<Self> {
        let mut numbers = range.split_whitespace().map(|word| word.parse().ok());
        let range = numbers.next()??..=numbers.next()??;
        let mut this = Self { range, reserved: vec![false; PORTS] };
        for part in reserved.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            mark(&mut this.reserved, first.parse().ok()?..=last.parse().ok()?);
        }
        Some(this)
    }

    /// Those of the UDP ports in `ports` that are given out.
    pub fn given_out(&self, ports: PortRange) -> impl Iterator<Item = u16> {
        let first = ports.first.max(*self.range.start());
        let last = ports.last.min(*self.range.end());
        let is_udp = ports.transport == Transport::Udp;
        (first..=last).filter(move |port| is_udp && !self.reserved[usize::from(*port)])
    }

    /// The line of sysctl.conf(5) that reserves the ports of `more` beside those that are reserved already.
    pub fn reservation(&self, more: impl IntoIterator<Item = PortRange>) -> String {
        let mut reserved = self.reserved.clone();
        for ports in more {
            mark(&mut reserved, ports.first..=ports.last);
        }
        let mut ranges = Vec::new();
        let mut rest = (0..PORTS).filter(|port| reserved[*port]).peekable();
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            ranges.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
        }
        format!("net.ipv4.ip_local_reserved_ports = {}", ranges.join(","))
    }
}

fn mark(set: &mut [bool], ports: RangeInclusive<u16>) {
    for port in ports {
        set[usize::from(port)] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOSH: PortRange = PortRange { first: 60_000, last: 61_000, transport: Transport::Udp };

    fn of(reserved: &str) -> Ephemeral {
        Ephemeral::parse("32768\t60999\n", reserved).unwrap()
    }

    #[test]
    fn ports_in_the_range_are_given_out_up_to_its_end() {
        let given: Vec<_> = of("\n").given_out(MOSH).collect();
        assert_eq!(given, (60_000..=60_999).collect::<Vec<_>>());
        let below = PortRange { first: 32_000, last: 32_768, ..MOSH };
        assert_eq!(of("").given_out(below).collect::<Vec<_>>(), [32_768]);
        for outside in [(1, 32_767), (61_000, 65_535)] {
            let outside = PortRange { first: outside.0, last: outside.1, ..MOSH };
            assert_eq!(of("").given_out(outside).count(), 0);
        }
    }

    #[test]
    fn reserved_ports_and_those_of_tcp_are_not() {
        assert_eq!(of("60000-61000\n").given_out(MOSH).count(), 0);
        assert_eq!(of("8080,60001-60999").given_out(MOSH).collect::<Vec<_>>(), [60_000]);
        assert_eq!(of("").given_out(PortRange { transport: Transport::Tcp, ..MOSH }).count(), 0);
    }

    #[test]
    fn a_reservation_keeps_those_that_are_there() {
        let line = |reserved: &str| of(reserved).reservation([MOSH]);
        assert_eq!(line(""), "net.ipv4.ip_local_reserved_ports = 60000-61000");
        assert_eq!(line("8080,9148-9150"), "net.ipv4.ip_local_reserved_ports = 8080,9148-9150,60000-61000");
        assert_eq!(line("59999,60500-61005"), "net.ipv4.ip_local_reserved_ports = 59999-61005");
        let highest = PortRange { first: 65_535, last: 65_535, ..MOSH };
        assert_eq!(of("").reservation([highest]), "net.ipv4.ip_local_reserved_ports = 65535");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (range, reserved) in [("", ""), ("1", ""), ("1 70000", ""), ("1 2", "x"), ("1 2", "3-"), ("1 2", "70000")] {
            assert_eq!(Ephemeral::parse(range, reserved), None, "{range:?} {reserved:?}");
        }
    }

    #[test]
    fn this_host_has_some() {
        let here = Ephemeral::here().unwrap();
        let all = PortRange { first: 1, last: u16::MAX, transport: Transport::Udp };
        assert!(here.given_out(all).count() > 0);
    }
}
