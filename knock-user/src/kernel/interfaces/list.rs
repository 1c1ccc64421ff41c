//! Network interfaces, by netlink: which there are, of what kind, and what XDP program they carry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp};

/// An interface of this network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// `IFLA_INFO_KIND` (`veth`, `bridge`, ...); `None` for a physical device.
    pub kind: Option<String>,
    /// What its frames begin with.
    pub layer: Layer,
    /// Index of the interface that it is a port of (`IFLA_MASTER`): a bridge, a bond.
    pub master: Option<u32>,
    /// Index of the interface below it (`IFLA_LINK`), where that is of this network namespace.
    pub lower: Option<u32>,
    /// Maximum transmission unit, in octets.
    pub mtu: u32,
    /// It is administratively up (`IFF_UP`).
    pub up: bool,
    /// The XDP program on it: id and mode.
    pub xdp: Option<(u32, XdpMode)>,
    /// The loopback device.
    pub loopback: bool,
    /// Its MAC; zeroes for a device without.
    pub mac: [u8; 6],
}

/// What the frames of an interface begin with (`ARPHRD_*` of `if_arp.h`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Layer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header: tun, PPP, WireGuard, and tunnels of IP in IP.
    Ip,
    /// Something that the gate cannot read, or cannot tell apart: its name. Such is GRE, where the other
    /// end says in the outer header, which the gate does not see, of what protocol a frame is.
    Other(String),
}

impl Layer {
    fn of(kind: LinkLayerType) -> Self {
        match kind {
            LinkLayerType::Ether | LinkLayerType::Loopback => Self::Ethernet,
            LinkLayerType::None
            | LinkLayerType::Ppp
            | LinkLayerType::Rawip
            | LinkLayerType::Tunnel
            | LinkLayerType::Tunnel6
            | LinkLayerType::Sit => Self::Ip,
            other => Self::Other(other.to_string()),
        }
    }
}

impl Interface {
    /// What an announcement says of an interface; `None` for one without a name.
    #[must_use]
    pub fn announced(message: &LinkMessage) -> Option<Self> {
        read(message)
    }

    /// True for a kind of device whose frames come through the one that [`lower`](Self::lower) names.
    #[must_use]
    pub fn lies_on_another(&self) -> bool {
        const KINDS: [&str; 5] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"];
        self.kind.as_deref().is_some_and(|kind| KINDS.contains(&kind))
    }

    /// True for a kind of device that hands frames of the one below it to this host as its own.
    #[must_use]
    pub fn takes_from_below(&self) -> bool {
        const KINDS: [&str; 3] = ["vlan", "macvlan", "ipvlan"];
        self.kind.as_deref().is_some_and(|kind| KINDS.contains(&kind))
    }

    /// True for a device whose ports are ways to one and the same link: a bond, a team, and the card of a virtual machine
    /// that has a faster one as its port (netvsc, net_failover), which is of no kind.
    #[must_use]
    pub fn joins_its_ports(&self) -> bool {
        matches!(self.kind.as_deref(), None | Some("bond" | "team"))
    }

    /// True where frames of the same host, or of a guest on it, arrive with checksums not filled in yet.
    #[must_use]
    pub fn leaves_checksums_open(&self) -> bool {
        const KINDS: [&str; 6] = ["veth", "bridge", "macvlan", "macvtap", "ipvlan", "ipvtap"];
        match self.kind.as_deref() {
            // In TAP mode: a guest's.
            Some("tun") => self.layer == Layer::Ethernet,
            Some(kind) => KINDS.contains(&kind),
            None => self.loopback,
        }
    }
}

/// Where an XDP program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
    /// In the device.
    Offload,
}

impl XdpMode {
    /// The name in the config and in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        }
    }
}

/// All interfaces, by name.
///
/// # Errors
///
/// If netlink cannot be used.
pub fn list() -> Result<Vec<Interface>> {
    // A thread of its own, so that it can be called from within and from without a runtime.
    std::thread::scope(|scope| scope.spawn(dump).join().expect("the netlink dump does not panic"))
        .context("interfaces cannot be listed by netlink")
}

fn dump() -> Result<Vec<Interface>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let messages: Vec<_> = handle.link().get().execute().try_collect().await?;
        connection.abort();
        let mut interfaces: Vec<_> = messages.iter().filter_map(read).collect();
        interfaces.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(interfaces)
    })
}

/// What an interface is a port of, what that is a port of, and so on, each once.
pub fn masters(interface: u32, all: &[Interface]) -> Vec<&Interface> {
    let find = |index: u32| all.iter().find(|one| one.index == index);
    let mut masters: Vec<&Interface> = Vec::new();
    let mut open = find(interface);
    // A list that was read while it changed may have a circle.
    while let Some(master) = open.and_then(|port| find(port.master?))
        && master.index != interface
        && !masters.contains(&master)
    {
        masters.push(master);
        open = Some(master);
    }
    masters
}

/// The interfaces on which packets for this one arrive: itself, the one that it lies on, its ports, and those below these,
/// such as the ports of a bond under a VLAN.
#[must_use]
pub fn below(interface: u32, all: &[Interface]) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([interface]);
    let mut open = vec![interface];
    while let Some(upper) = open.pop() {
        let ports = all.iter().filter(|one| one.master == Some(upper)).map(|one| one.index);
        let lower = all.iter().find(|one| one.index == upper && one.lies_on_another()).and_then(|one| one.lower);
        open.extend(ports.chain(lower).filter(|index| found.insert(*index)));
    }
    found
}

/// Of each interface the names of what is [below](below) it.
#[must_use]
pub fn names_below(all: &[Interface]) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<u32, &String> = all.iter().map(|one| (one.index, &one.name)).collect();
    let of = |index: u32| below(index, all).iter().filter_map(|index| Some((*names.get(index)?).clone())).collect();
    all.iter().map(|one| (one.name.clone(), of(one.index))).collect()
}

/// Interfaces with all that is [below](below) them.
#[must_use]
pub fn with_all_below(interfaces: &[Interface], all: &[Interface]) -> Vec<Interface> {
    let wanted: BTreeSet<_> = interfaces.iter().flat_map(|one| below(one.index, all)).collect();
    all.iter().filter(|one| wanted.contains(&one.index)).cloned().collect()
}

/// What a message says of an interface; `None` for one without a name.
fn read(message: &LinkMessage) -> Option<Interface> {
    let flags = message.header.flags;
    let mut interface = Interface {
        name: String::new(),
        index: message.header.index,
        kind: None,
        layer: Layer::of(message.header.link_layer_type),
        master: None,
        lower: None,
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        xdp: None,
        loopback: flags.contains(LinkFlags::Loopback),
        mac: [0; 6],
    };
    let mut elsewhere = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            LinkAttribute::Controller(index) => interface.master = Some(*index).filter(|index| *index != 0),
            LinkAttribute::Link(index) => interface.lower = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::LinkInfo(infos) => interface.kind = read_kind(infos),
            LinkAttribute::Address(mac) => interface.mac = mac.as_slice().try_into().unwrap_or_default(),
            LinkAttribute::Xdp(parts) => interface.xdp = read_xdp(parts),
            _ => {}
        }
    }
    // A tunnel names itself.
    interface.lower = interface.lower.filter(|index| !elsewhere && *index != interface.index);
    (!interface.name.is_empty()).then_some(interface)
}

fn read_kind(infos: &[LinkInfo]) -> Option<String> {
    infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    })
}

/// A network card may hold a program of its own beside the one of the driver or behind it.
fn read_xdp(parts: &[LinkXdp]) -> Option<(u32, XdpMode)> {
    let find = |read: fn(&LinkXdp) -> Option<u32>| parts.iter().find_map(read);
    let native = find(|part| if let LinkXdp::DrvProgId(id) = part { Some(*id) } else { None });
    let generic = find(|part| if let LinkXdp::SkbProgId(id) = part { Some(*id) } else { None });
    let offload = find(|part| if let LinkXdp::HwProgId(id) = part { Some(*id) } else { None });
    let by_mode = [(native, XdpMode::Native), (generic, XdpMode::Generic), (offload, XdpMode::Offload)];
    by_mode.into_iter().find_map(|(id, mode)| Some((id?, mode)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An Ethernet card that is up.
    pub fn interface(name: &str, index: u32) -> Interface {
        Interface {
            name: name.into(),
            index,
            kind: None,
            layer: Layer::Ethernet,
            master: None,
            lower: None,
            mtu: 1500,
            up: true,
            xdp: None,
            loopback: name == "lo",
            mac: [0; 6],
        }
    }

    #[test]
    fn a_program_in_the_card_does_not_hide_the_gate() {
        let both = [LinkXdp::HwProgId(1), LinkXdp::SkbProgId(2)];
        assert_eq!(read_xdp(&both), Some((2, XdpMode::Generic)));
        assert_eq!(read_xdp(&[LinkXdp::HwProgId(1)]), Some((1, XdpMode::Offload)));
        assert_eq!(read_xdp(&[]), None);
    }

    #[test]
    fn what_frames_begin_with_is_known_by_the_type_of_device() {
        assert_eq!(Layer::of(LinkLayerType::Ether), Layer::Ethernet);
        assert_eq!(Layer::of(LinkLayerType::None), Layer::Ip);
        assert_eq!(Layer::of(LinkLayerType::Ppp), Layer::Ip);
        assert_eq!(Layer::of(LinkLayerType::Ipgre), Layer::Other("IPGRE".into()));
        assert_eq!(Layer::of(LinkLayerType::Can), Layer::Other("CAN".into()));
    }

    fn of(kind: &str, interface: Interface) -> Interface {
        Interface { kind: Some(kind.into()), ..interface }
    }

    #[test]
    fn packets_for_a_device_arrive_on_all_that_is_below_it() {
        let port = |name, index, master| Interface { master: Some(master), ..interface(name, index) };
        let on = |kind, name, index, lower| of(kind, Interface { lower: Some(lower), ..interface(name, index) });
        let all = [
            port("eth0", 2, 4),
            port("eth1", 3, 4),
            of("bond", interface("bond0", 4)),
            on("vlan", "bond0.5", 5, 4),
            Interface { master: Some(7), ..on("vlan", "bond0.6", 6, 4) },
            of("bridge", interface("br0", 7)),
            // The other end of a wire is not below it.
            on("veth", "veth0", 8, 9),
            on("veth", "veth1", 9, 8),
            // Nobody makes these; they have an end all the same.
            on("vlan", "loop0", 10, 11),
            on("vlan", "loop1", 11, 10),
        ];
        let below = |index| below(index, &all).into_iter().collect::<Vec<_>>();
        assert_eq!(below(2), [2]);
        assert_eq!(below(4), [2, 3, 4], "a bond");
        assert_eq!(below(5), [2, 3, 4, 5], "a VLAN on a bond");
        let names: Vec<_> = names_below(&all)["bond0.5"].iter().cloned().collect();
        assert_eq!(names, ["bond0", "bond0.5", "eth0", "eth1"]);
        assert_eq!(below(7), [2, 3, 4, 6, 7], "a bridge with a VLAN on a bond as its port");
        assert_eq!(below(8), [8]);
        assert_eq!(below(10), [10, 11]);
        assert_eq!(below(99), [99], "one that is gone");
    }

    #[test]
    fn what_lies_on_a_device_with_open_checksums_has_them_too() {
        let wire = of("veth", interface("eth0", 2));
        let vlan = of("vlan", Interface { lower: Some(2), ..interface("eth0.5", 3) });
        let opens = |all: &[Interface]| {
            with_all_below(std::slice::from_ref(&vlan), all).iter().any(Interface::leaves_checksums_open)
        };
        assert!(opens(&[wire, vlan.clone()]));
        assert!(!opens(&[interface("eth0", 2), vlan.clone()]));
    }
}
