//! How packets come to the stack that the gate on an interface lets pass: through what joins or bridges it, and for whom
//! they are on top of that.

use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;

use super::list::Interface;
use crate::host::filter::{Packet, Tracked};

/// How packets come.
#[derive(Clone, Default)]
pub struct Arrival {
    /// The interface with the gate, or the VLAN on it that takes them; `None` if it is not there yet.
    pub name: Option<String>,
    /// The interfaces through which they come, from the one with the gate.
    pub devices: Vec<String>,
    /// The one on which the stack takes them to have come, where that is for certain.
    pub interface: Option<String>,
    /// A bridge sees them.
    pub is_bridged: bool,
}

impl Arrival {
    /// A packet of IPv4 to this host of which nothing else is known.
    pub fn packet(&self) -> Packet {
        Packet {
            devices: self.devices.clone(),
            interface: self.interface.clone(),
            is_bridged: self.is_bridged,
            is_v6: false,
            source: None,
            from: None,
            dest: None,
            is_own: true,
            port: None,
            transport: Transport::Tcp,
            flags: TcpFlags::SYN,
            tracked: Tracked::New,
        }
    }

    /// Its name, or words in its place.
    pub fn said(&self) -> &str {
        self.name.as_deref().unwrap_or("what is not known")
    }
}

/// How packets come that the gate on an interface lets pass: those for a VLAN or another device on it come on that.
pub fn arrivals_on(interface: &Interface, all: &[Interface]) -> Vec<Arrival> {
    let mut found = Vec::new();
    climb(interface, Arrival { name: Some(interface.name.clone()), ..Arrival::default() }, all, &mut found);
    found
}

/// Goes on to what joins or bridges an interface, and to what lies on it.
fn climb(on: &Interface, mut way: Arrival, all: &[Interface], found: &mut Vec<Arrival>) {
    // A list that was read while it changed may have a circle.
    if way.devices.contains(&on.name) {
        return;
    }
    way.devices.push(on.name.clone());
    match on.master.map(|index| all.iter().find(|one| one.index == index)) {
        None => found.push(Arrival { interface: Some(on.name.clone()), ..way.clone() }),
        Some(Some(joined)) if joined.joins_its_ports() => climb(joined, way.clone(), all, found),
        Some(Some(bridge)) if bridge.kind.as_deref() == Some("bridge") => {
            climb(bridge, Arrival { is_bridged: true, ..way.clone() }, all, found);
        }
        Some(_) => found.push(way.clone()),
    }
    for upper in all.iter().filter(|one| one.lower == Some(on.index) && one.takes_from_below()) {
        climb(upper, Arrival { name: Some(upper.name.clone()), ..way.clone() }, all, found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::interface;
    use super::*;

    #[test]
    fn what_comes_on_a_port_comes_to_the_stack_on_what_joins_or_bridges_it() {
        let kind = |kind: Option<&str>, name: &str, index: u32, master: Option<u32>| Interface {
            kind: kind.map(str::to_owned),
            master,
            ..interface(name, index)
        };
        let port = |master: u32| kind(None, "eth0", 2, Some(master));
        let bond = |of: Option<&str>, master| kind(of, "bond0", 10, master);
        let bridge = kind(Some("bridge"), "br0", 20, None);
        let vrf = kind(Some("vrf"), "red", 30, None);
        let of = |all: &[Interface]| {
            let found = arrivals_on(&all[0], all);
            let [Arrival { name, devices, interface, is_bridged }] = &found[..] else { panic!("{}", found.len()) };
            assert_eq!((name.as_deref(), devices[0].as_str()), (Some("eth0"), "eth0"));
            (interface.clone(), *is_bridged)
        };
        let on = |name: &str, is_bridged: bool| (Some(name.to_owned()), is_bridged);
        assert_eq!(of(&[kind(None, "eth0", 2, None)]), on("eth0", false));
        for joining in [Some("bond"), Some("team"), None] {
            assert_eq!(of(&[port(10), bond(joining, None)]), on("bond0", false), "{joining:?}");
        }
        assert_eq!(of(&[port(20), bridge.clone()]), on("br0", true));
        // A bond that is a port of a bridge.
        assert_eq!(of(&[port(10), bond(Some("bond"), Some(20)), bridge]), on("br0", true));
        for (master, vrf) in [(30, vec![vrf]), (99, Vec::new())] {
            assert_eq!(of(&[vec![port(master)], vrf].concat()), (None, false), "{master}");
        }
    }

    #[test]
    fn what_is_for_a_device_on_another_comes_on_that() {
        let of = |all: &[Interface]| {
            let on = |Arrival { name, devices, interface, is_bridged }: Arrival| {
                format!(
                    "{}: {} to {}{}",
                    name.unwrap(),
                    devices.join(" "),
                    interface.unwrap_or_default(),
                    if is_bridged { ", bridged" } else { "" }
                )
            };
            arrivals_on(&all[0], all).into_iter().map(on).collect::<Vec<_>>()
        };
        let kind = |kind: &str, interface: Interface| Interface { kind: Some(kind.to_owned()), ..interface };
        let on = |lower: u32, interface: Interface| Interface { lower: Some(lower), ..interface };
        let port = |master: u32, interface: Interface| Interface { master: Some(master), ..interface };
        for above in ["vlan", "macvlan", "ipvlan"] {
            let all = [interface("eth0", 2), kind(above, on(2, interface("lan", 3)))];
            assert_eq!(of(&all), ["eth0: eth0 to eth0", "lan: eth0 lan to lan"], "{above}");
        }
        // Guests have the frames of these, not this host; and it is another end that a pair has below it.
        for other in ["macvtap", "ipvtap", "veth"] {
            assert_eq!(of(&[interface("eth0", 2), kind(other, on(2, interface("lan", 3)))]), ["eth0: eth0 to eth0"]);
        }
        // A VLAN in a VLAN of a bond, one as the port of a bridge with a VLAN of its own, and one in a VRF.
        let all = [
            port(10, interface("eth0", 2)),
            kind("bond", interface("bond0", 10)),
            kind("vlan", on(10, interface("bond0.5", 11))),
            kind("vlan", on(11, interface("inner", 12))),
            port(20, kind("vlan", on(10, interface("bond0.6", 13)))),
            kind("bridge", interface("br0", 20)),
            kind("vlan", on(20, interface("br0.7", 21))),
            port(30, kind("vlan", on(10, interface("bond0.8", 14)))),
            kind("vrf", interface("red", 30)),
        ];
        assert_eq!(
            of(&all),
            [
                "eth0: eth0 bond0 to bond0",
                "bond0.5: eth0 bond0 bond0.5 to bond0.5",
                "inner: eth0 bond0 bond0.5 inner to inner",
                "bond0.6: eth0 bond0 bond0.6 br0 to br0, bridged",
                "br0.7: eth0 bond0 bond0.6 br0 br0.7 to br0.7, bridged",
                "bond0.8: eth0 bond0 bond0.8 to ",
            ]
        );
    }
}
