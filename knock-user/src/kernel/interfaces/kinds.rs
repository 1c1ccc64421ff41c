//! What kind of interface the gate can stand on, and what to name instead. Pure: decided from what
//! netlink tells of the interfaces.

use std::iter;

use super::list::{self, Interface, Layer};

/// Whether an interface that the config means gets the gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fit {
    /// It does.
    Yes,
    /// It does, but the administrator should know this.
    But(String),
    /// It need not: its frames come through another interface that the config means.
    Covered(String),
    /// It cannot: why, and what to do.
    No(String),
}

/// Judges `interface`. `means` says whether the config means another one.
#[must_use]
pub fn fit(interface: &Interface, all: &[Interface], means: impl Fn(&Interface) -> bool) -> Fit {
    if let Layer::Other(kind) = &interface.layer {
        return Fit::No(format!(
            "its frames begin with a header that the gate cannot read ({kind}): leave it out of options.interfaces"
        ));
    }
    let kind = interface.kind.as_deref();
    if kind == Some("vrf") {
        return Fit::No("a VRF device receives no frames itself: name its ports in options.interfaces".to_owned());
    }
    let find = |index: Option<u32>| all.iter().find(|one| Some(one.index) == index);
    if kind == Some("vlan")
        && let Some(lower) = find(interface.lower)
    {
        let name = &lower.name;
        if means(lower) {
            return Fit::Covered(format!("{name}, on which it lies, has the gate, which reads VLAN tags"));
        }
        return Fit::But(format!(
            "a VLAN on {name}: name {name} in options.interfaces to have the gate in its driver and on all its VLANs"
        ));
    }
    let Some(master) = find(interface.master) else { return Fit::Yes };
    let name = &master.name;
    match master.kind.as_deref() {
        Some("bond") if means(master) => Fit::Covered(format!(
            "it is a port of {name}, which has the gate: leave it out of options.interfaces, or it may have a gate of its own \
             before it is a port, as at a boot, and a bond with native XDP takes no port that has a program"
        )),
        _ if master.joins_its_ports() && means(master) => {
            Fit::Covered(format!("it is a port of {name}, which has the gate"))
        }
        _ if master.joins_its_ports() => Fit::But(format!(
            "a port of {name}: name {name} in options.interfaces, so that the gate is on all its ports"
        )),
        Some("bridge") if !means(master) => Fit::But(format!(
            "a port of the bridge {name}: what it hands on to others is judged as well; to protect this host alone, \
             name {name} in options.interfaces, with mode = \"generic\" or \"auto\""
        )),
        _ => Fit::Yes,
    }
}

/// The cards through which what comes for VLANs over the interface is judged without its tag, by their names: `takes_off`
/// says of which the tags are taken off. An answer goes out without the tag as well.
#[must_use]
pub fn without_tags<'a>(interface: &Interface, all: &'a [Interface], takes_off: impl Fn(u32) -> bool) -> Vec<&'a str> {
    if interface.lies_on_another() {
        return Vec::new();
    }
    let masters = list::masters(interface.index, all).into_iter().map(|master| master.index);
    let stack: Vec<u32> = iter::once(interface.index).chain(masters).collect();
    let is_vlan = |one: &&Interface| one.kind.as_deref() == Some("vlan");
    let has_vlans = all.iter().filter(is_vlan).any(|vlan| vlan.lower.is_some_and(|lower| stack.contains(&lower)));
    let below = list::below(interface.index, all);
    let cards = all.iter().filter(|one| has_vlans && below.contains(&one.index) && takes_off(one.index));
    cards.map(|one| one.name.as_str()).collect()
}

/// The name of one that lies on the interface, or that it is a port of, and that has an XDP program: below such the kernel
/// takes no other.
#[must_use]
pub fn gated_above<'a>(interface: &Interface, all: &'a [Interface]) -> Option<&'a str> {
    let is_above = |one: &&Interface| {
        interface.master == Some(one.index) || one.lies_on_another() && one.lower == Some(interface.index)
    };
    all.iter().filter(is_above).find(|one| one.xdp.is_some()).map(|one| one.name.as_str())
}

/// What to do there.
#[must_use]
pub fn below_another(upper: &str) -> String {
    format!(
        "{upper}, which lies on it, has an XDP program, and the kernel takes none below that: if it is the gate, \
         `knockctl unload` and start again; until then it stays where it is"
    )
}

/// What to do where the kernel refuses native mode.
#[must_use]
pub fn instead_of_native(interface: &Interface, all: &[Interface]) -> String {
    let names = |is_it: &dyn Fn(&Interface) -> bool| {
        let names: Vec<_> = all.iter().filter(|one| is_it(one)).map(|one| one.name.as_str()).collect();
        names.join(", ")
    };
    let ports = names(&|one| one.master == Some(interface.index));
    let lower = names(&|one| Some(one.index) == interface.lower);
    let first = match interface.kind.as_deref() {
        Some("bridge" | "team") if !ports.is_empty() => format!("name its ports ({ports}) instead, or "),
        Some("bond") => "a bond has native XDP in the modes 0 to 4 without 3, if all its ports have it; ".to_owned(),
        _ if interface.lies_on_another() && !lower.is_empty() => {
            format!("name {lower}, on which it lies, instead, or ")
        }
        _ if interface.mtu > 1500 => {
            format!("lower its MTU of {} (`ip link set {} mtu 1500`), or ", interface.mtu, interface.name)
        }
        _ => String::new(),
    };
    format!("{first}set options.mode = \"generic\" (slower, works everywhere) or \"auto\"")
}

#[cfg(test)]
mod tests {
    use super::super::list::XdpMode;
    use super::super::list::tests::interface;
    use super::*;

    fn kind(kind: &str, interface: Interface) -> Interface {
        Interface { kind: Some(kind.into()), ..interface }
    }

    fn port_of(master: u32, interface: Interface) -> Interface {
        Interface { master: Some(master), ..interface }
    }

    fn lies_on(lower: u32, interface: Interface) -> Interface {
        Interface { lower: Some(lower), ..interface }
    }

    /// The judgement on the first, if the config means those `meant`.
    fn judge(all: &[Interface], meant: &[&str]) -> Fit {
        fit(&all[0], all, |one| meant.contains(&one.name.as_str()))
    }

    #[test]
    fn a_card_of_its_own_fits() {
        assert_eq!(judge(&[interface("eth0", 2)], &["eth0"]), Fit::Yes);
        let tun = Interface { layer: Layer::Ip, ..kind("tun", interface("tun0", 3)) };
        assert_eq!(judge(&[tun], &["tun0"]), Fit::Yes);
        assert_eq!(
            judge(&[kind("bond", interface("bond0", 2)), port_of(2, interface("eth0", 3))], &["bond0"]),
            Fit::Yes
        );
    }

    #[test]
    fn a_header_that_is_neither_ethernet_nor_ip_is_refused() {
        let can = Interface { layer: Layer::Other("CAN".into()), ..interface("can0", 2) };
        let Fit::No(why) = judge(&[can], &["can0"]) else { panic!("it fits") };
        assert!(why.contains("CAN") && why.contains("options.interfaces"), "{why}");
        assert!(matches!(judge(&[kind("vrf", interface("vrf0", 2))], &["vrf0"]), Fit::No(_)));
    }

    #[test]
    fn the_ports_of_a_bond_are_resolved_to_it() {
        // Of no kind is the card of a virtual machine that has a faster one as its port.
        for master in [Some("bond"), Some("team"), None] {
            let bond = Interface { kind: master.map(str::to_owned), ..interface("bond0", 5) };
            let all = [port_of(5, interface("eth0", 2)), bond];
            let Fit::Covered(why) = judge(&all, &["eth0", "bond0"]) else { panic!("{master:?}") };
            assert!(why.starts_with("it is a port of bond0, which has the gate"), "{why}");
            // With a program of its own it could not become one.
            assert_eq!(why.contains("leave it out of options.interfaces"), master == Some("bond"), "{why}");
            assert!(matches!(judge(&all, &["eth0"]), Fit::But(why) if why.contains("name bond0")), "{master:?}");
        }
    }

    #[test]
    fn a_vlan_is_resolved_to_what_it_lies_on() {
        let all = [lies_on(2, kind("vlan", interface("eth0.5", 6))), interface("eth0", 2)];
        assert!(matches!(judge(&all, &["eth0", "eth0.5"]), Fit::Covered(why) if why.contains("eth0")));
        assert!(matches!(judge(&all, &["eth0.5"]), Fit::But(why) if why.contains("name eth0 ")));
        // What it lies on is in another network namespace.
        assert_eq!(judge(&[kind("vlan", interface("eth0.5", 6))], &["eth0.5"]), Fit::Yes);
    }

    #[test]
    fn a_port_of_a_bridge_is_explained() {
        let all = [port_of(5, interface("eth0", 2)), kind("bridge", interface("br0", 5))];
        assert!(matches!(judge(&all, &["eth0"]), Fit::But(why) if why.contains("bridge br0")));
        assert_eq!(judge(&all, &["eth0", "br0"]), Fit::Yes);
    }

    #[test]
    fn cards_that_take_tags_off_below_a_vlan_are_found() {
        let all = [
            port_of(5, interface("eth0", 2)),
            port_of(5, interface("eth1", 3)),
            interface("eth2", 4),
            kind("bond", interface("bond0", 5)),
            lies_on(5, kind("vlan", interface("bond0.5", 6))),
        ];
        let found = |number: usize, off: &[u32]| without_tags(&all[number], &all, |index| off.contains(&index));
        assert_eq!(found(3, &[2, 3, 4]), ["eth0", "eth1"]);
        assert_eq!(found(3, &[3]), ["eth1"]);
        assert_eq!(found(3, &[]), [""; 0]);
        assert_eq!(found(2, &[4]), [""; 0], "no VLAN lies on it");
        assert_eq!(found(4, &[2, 3]), [""; 0], "the VLAN itself puts the tag on again");
        assert_eq!(found(0, &[2]), ["eth0"], "a port of the bond below the VLAN");
    }

    #[test]
    fn a_program_above_is_found() {
        let gated = |one: Interface| Interface { xdp: Some((7, XdpMode::Generic)), ..one };
        let lower = [port_of(5, interface("eth0", 2)), interface("eth1", 3)];
        let bond = kind("bond", interface("bond0", 5));
        let vlan = lies_on(3, kind("vlan", interface("eth1.5", 6)));
        // The other end of a wire in the same host.
        let end = gated(lies_on(3, kind("veth", interface("veth0", 7))));
        let all = [&lower[..], &[bond.clone(), vlan.clone(), end.clone()]].concat();
        assert_eq!(lower.each_ref().map(|one| gated_above(one, &all)), [None, None]);
        let all = [&lower[..], &[gated(bond), gated(vlan), end]].concat();
        assert_eq!(lower.each_ref().map(|one| gated_above(one, &all)), [Some("bond0"), Some("eth1.5")]);
    }

    #[test]
    fn native_mode_refused_names_the_better_interface() {
        let all = [
            kind("bridge", interface("br0", 5)),
            port_of(5, interface("eth0", 2)),
            port_of(5, interface("eth1", 3)),
            lies_on(2, kind("macvlan", interface("mv0", 6))),
            Interface { mtu: 9001, ..interface("ens5", 7) },
        ];
        let remedy = |index: usize| instead_of_native(&all[index], &all);
        assert!(remedy(0).starts_with("name its ports (eth0, eth1) instead, or set options.mode"), "{}", remedy(0));
        assert!(remedy(3).starts_with("name eth0, on which it lies, instead"), "{}", remedy(3));
        assert!(remedy(4).starts_with("lower its MTU of 9001 (`ip link set ens5 mtu 1500`)"), "{}", remedy(4));
        assert!(remedy(1).starts_with("set options.mode = \"generic\""), "{}", remedy(1));
    }
}
