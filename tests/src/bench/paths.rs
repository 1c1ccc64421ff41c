//! The paths through the gate, each with a frame that goes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::history::Flow;
use crate::kernel::{XDP_DROP, XDP_PASS};
use crate::packet::{
    ACK, CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, STRANGER_V4, STRANGER_V6, SYN, VLAN,
};

/// The protected port.
pub const PORT: u16 = 2222;

/// The figure of what [`begin`] makes.
pub const NEW_FLOW: &str = "new_flow.tcp4";

/// The protected port of UDP.
const UDP_PORT: u16 = 51_820;

/// What the gate is loaded with.
pub const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]
trusted = ["203.0.113.192/28"]

[services.both]
ports = ["2222/tcp", "51820/udp"]

[doors.open]
service = "both"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
seq_timeout = "10s"
cmd_timeout = "1h"
"#;

/// Who holds a grant.
pub const HOLDER_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 8);
/// Who holds a grant.
pub const HOLDER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 100, 0, 0, 0, 8);
/// Who need not knock.
const TRUSTED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 200);
/// Who has to, and shares the cell of the filter in front of the trusted networks with one of them.
const BESIDE_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 8);

/// A path that changes nothing.
pub struct Path {
    /// Its figure is `cost.` and this.
    pub id: &'static str,
    /// A frame that goes it.
    pub frame: Vec<u8>,
    /// What the gate returns.
    pub action: u32,
    /// What xdp-filter returns, with its rule for [`PORT`].
    pub by_filter: u32,
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Path> {
    let v4 = |from: Ipv4Addr| PacketBuilder::between(from, SERVER_V4);
    let v6 = |from: Ipv6Addr| PacketBuilder::between(from, SERVER_V6);
    let unrelated =
        |id, packet: PacketBuilder| Path { id, frame: packet.build(), action: XDP_PASS, by_filter: XDP_PASS };
    let protected = |id, packet: PacketBuilder, action| Path {
        id,
        frame: packet.tcp(40_000, PORT, SYN).build(),
        action,
        by_filter: XDP_DROP,
    };
    let segment = |id, packet: PacketBuilder| Path {
        id,
        frame: packet.tcp(40_000, PORT, ACK).build(),
        action: XDP_PASS,
        by_filter: XDP_DROP,
    };
    let datagram = |id, packet: PacketBuilder, action| Path {
        id,
        frame: packet.udp(40_000, UDP_PORT).build(),
        action,
        by_filter: XDP_PASS,
    };
    vec![
        unrelated("unrelated.tcp4", v4(CLIENT_V4).tcp(40_000, 443, ACK)),
        unrelated("unrelated.tcp6", v6(CLIENT_V6).tcp(40_000, 443, ACK)),
        unrelated("unrelated.udp4", v4(STRANGER_V4).udp(40_000, 53)),
        unrelated("unrelated.udp6", v6(STRANGER_V6).udp(40_000, 53)),
        unrelated("unrelated.vlan4", v4(CLIENT_V4).vlan(VLAN).tcp(40_000, 443, ACK)),
        unrelated("unrelated.syn4", v4(STRANGER_V4).tcp(40_000, 443, SYN)),
        protected("denied_syn.tcp4", v4(STRANGER_V4), XDP_DROP),
        protected("denied_syn.tcp6", v6(STRANGER_V6), XDP_DROP),
        protected("denied_syn.vlan4", v4(STRANGER_V4).vlan(VLAN), XDP_DROP),
        protected("denied_beside_trusted.tcp4", v4(BESIDE_V4), XDP_DROP),
        segment("ack_no_socket.tcp4", v4(STRANGER_V4)),
        segment("ack_socket.tcp4", v4(CLIENT_V4)),
        protected("granted.tcp4", v4(HOLDER_V4), XDP_PASS),
        protected("granted.tcp6", v6(HOLDER_V6), XDP_PASS),
        protected("trusted.tcp4", v4(TRUSTED), XDP_PASS),
        // Of the connections that the SYNs of the same sources have begun, and of those that the first datagrams begin.
        segment("flow.tcp4", v4(HOLDER_V4)),
        segment("flow.tcp6", v6(HOLDER_V6)),
        datagram("flow.udp4", v4(HOLDER_V4), XDP_PASS),
        datagram("flow.udp6", v6(HOLDER_V6), XDP_PASS),
        datagram("denied_udp.udp4", v4(STRANGER_V4), XDP_DROP),
        Path { id: "duplicate.tcp4", frame: first_knock(), action: XDP_PASS, by_filter: XDP_PASS },
    ]
}

/// The first knock of a client that is under way ever since.
#[must_use]
pub fn first_knock() -> Vec<u8> {
    first(CLIENT_V4).build()
}

/// The first knock.
pub fn first(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 7000, SYN)
}

/// The knock behind it.
pub fn middle(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).udp(40_000, 8000)
}

/// The last knock, which opens.
pub fn last(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 9000, SYN)
}

/// What begins a connection to the protected port.
pub fn begin(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, PORT, SYN)
}

/// What begins flows to the protected ports under a grant, with the figure of each.
#[must_use]
pub fn new_flows(from_v4: Ipv4Addr, from_v6: Ipv6Addr) -> [(&'static str, Vec<u8>); 4] {
    let v6 = || PacketBuilder::between(from_v6, SERVER_V6);
    [
        (NEW_FLOW, begin(from_v4)),
        ("new_flow.tcp6", v6().tcp(40_000, PORT, SYN)),
        ("new_flow.udp4", PacketBuilder::between(from_v4, SERVER_V4).udp(40_000, UDP_PORT)),
        ("new_flow.udp6", v6().udp(40_000, UDP_PORT)),
    ]
    .map(|(id, packet)| (id, packet.build()))
}

/// All knocks of an IPv6 source.
#[must_use]
pub fn sequence_v6(from: Ipv6Addr) -> [Vec<u8>; 3] {
    let to = || PacketBuilder::between(from, SERVER_V6);
    [to().tcp(40_000, 7000, SYN), to().udp(40_000, 8000), to().tcp(40_000, 9000, SYN)].map(|packet| packet.build())
}

/// No knock: to a port that is nobody's.
pub fn wrong(from: Ipv4Addr) -> PacketBuilder {
    PacketBuilder::between(from, SERVER_V4).tcp(40_000, 4444, SYN)
}

/// The connection that segments of [`CLIENT_V4`] belong to.
#[must_use]
pub const fn connection() -> Flow {
    (IpAddr::V4(CLIENT_V4), 40_000, IpAddr::V4(SERVER_V4), PORT)
}
