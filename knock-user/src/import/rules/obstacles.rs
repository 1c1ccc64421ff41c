//! Sources whose packets may be dropped before a rule sees them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Targets of iptables that drop no packet and send none elsewhere.
pub(super) const PASSING: [&str; 17] = [
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CT",
    "DSCP",
    "HMARK",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NFLOG",
    "NOTRACK",
    "SECMARK",
    "SET",
    "SNAT",
    "TCPMSS",
    "TRACE",
];

/// Those of them after which the connection may not be tracked.
pub(super) const UNTRACKING: [&str; 2] = ["CT", "NOTRACK"];

/// Who may be stopped.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Obstacles {
    anybody: bool,
    /// Ranges of addresses that do not meet: the last one by the first one.
    ranges: BTreeMap<IpAddr, IpAddr>,
}

impl Obstacles {
    /// True if nobody is stopped.
    pub(super) fn is_empty(&self) -> bool {
        !self.anybody && self.ranges.is_empty()
    }

    /// True if an address of the network may be stopped.
    pub(super) fn meets(&self, network: IpNet) -> bool {
        let before = || self.ranges.range(..=network.broadcast()).next_back();
        self.anybody || before().is_some_and(|(_, last)| *last >= network.network())
    }

    /// True if each address of the network is in one of the ranges.
    pub(super) fn holds(&self, network: IpNet) -> bool {
        let before = self.ranges.range(..=network.network()).next_back();
        before.is_some_and(|(_, last)| *last >= network.broadcast())
    }

    /// All of the addresses may be stopped.
    pub(super) fn add(&mut self, first: IpAddr, last: IpAddr) {
        let (mut first, mut last) = (first, last);
        while let Some((&from, &to)) = self.ranges.range(..=last).next_back().filter(|(_, to)| **to >= first) {
            self.ranges.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.ranges.insert(first, last);
    }

    /// Those of the other as well.
    pub(super) fn merge(&mut self, other: &Self) {
        self.anybody |= other.anybody;
        for (&first, &last) in &other.ranges {
            self.add(first, last);
        }
    }
}

/// Anybody may be stopped.
pub(super) fn anybody() -> Obstacles {
    Obstacles { anybody: true, ..Obstacles::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_meet_are_one() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let mut obstacles = Obstacles::default();
        for network in ["192.0.2.0/26", "192.0.2.128/25", "2001:db8::/64", "192.0.2.0/24", "198.51.100.7/32"] {
            obstacles.add(net(network).network(), net(network).broadcast());
        }
        assert_eq!(obstacles.ranges.len(), 3);
        for (network, meets) in [
            ("192.0.2.200/32", true),
            ("192.0.0.0/16", true),
            ("192.0.1.0/24", false),
            ("192.0.3.0/24", false),
            ("198.51.100.0/24", true),
            ("198.51.100.8/32", false),
            ("2001:db8::/32", true),
            ("2001:db8:0:1::/64", false),
            ("::/8", false),
        ] {
            assert_eq!(obstacles.meets(net(network)), meets, "{network}");
        }
        for (network, holds) in [
            ("192.0.2.128/25", true),
            ("192.0.2.0/24", true),
            ("192.0.2.0/23", false),
            ("198.51.100.6/31", false),
            ("2001:db8::/65", true),
            ("2001:db8::/63", false),
            ("::/128", false),
        ] {
            assert_eq!(obstacles.holds(net(network)), holds, "{network}");
        }
        assert!(anybody().meets(net("192.0.3.0/24")) && !Obstacles::default().meets(net("::/0")));
    }
}
