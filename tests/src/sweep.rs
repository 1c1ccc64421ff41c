//! Sweeps over all ports: segments with each set of flags that scanners send, in the orders in which scanners go, beside
//! doors that take them for knocks.

use std::net::IpAddr;

use crate::packet::{ACK, CWR, ECE, FIN, PSH, PacketBuilder, RST, SYN, URG};

/// What scanners send, and what each is called.
pub const SEGMENTS: [(&str, u8); 13] = [
    ("SYN", SYN),
    ("SYN+ACK", SYN | ACK),
    ("ACK", ACK),
    ("ACK+PSH", ACK | PSH),
    ("RST", RST),
    ("RST+ACK", RST | ACK),
    ("FIN", FIN),
    ("FIN+ACK", FIN | ACK),
    ("NULL", 0),
    ("Xmas", FIN | PSH | URG),
    ("SYN+FIN", SYN | FIN),
    ("SYN with ECN", SYN | ECE | CWR),
    ("all", 0xff),
];

/// `tcpflags` of doors: those that segments of a connection fit, and the default. As many as one source can be under way
/// in at once.
pub const DOORS: [&str; 8] = [
    "[]",
    "[\"ack\"]",
    "[\"rst\"]",
    "[\"syn\", \"ack\"]",
    "[\"!syn\"]",
    "[\"fin\"]",
    "[\"psh\", \"!rst\"]",
    "[\"syn\"]",
];

/// Sequences in the order in which scanners go, up and down, and of both protocols; and the orders that might walk
/// through each.
pub const SEQUENCES: [([&str; 3], &[Order]); 3] = [
    (["7000/tcp", "8000/tcp", "9000/tcp"], &[Order::Up, Order::Twice, Order::Repeated]),
    (["9000/tcp", "8000/tcp", "7000/tcp"], &[Order::Down, Order::There]),
    (["7000/tcp", "8000/udp", "9000/tcp"], &[Order::WithUdp, Order::UdpFirst]),
];

/// The protected port.
pub const PROTECTED: u16 = 2222;

/// A config with all [`DOORS`] behind one sequence.
#[must_use]
pub fn config(sequence: [&str; 3]) -> String {
    let doors = DOORS.iter().enumerate().map(|(number, flags)| {
        format!("\n[doors.d{number}]\nservice = \"ssh2\"\nsequence = {sequence:?}\ntcpflags = {flags}\ncmd_timeout = \"60s\"\n")
    });
    let services = format!("[services.ssh2]\nports = [\"{PROTECTED}/tcp\"]\n");
    format!("[options]\ninterfaces = [\"eth0\"]\n\n{services}{}", doors.collect::<String>())
}

/// An order in which all ports are swept over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// From 0 to 65535.
    Up,
    /// From 65535 to 0.
    Down,
    /// Up, and once more.
    Twice,
    /// Up, each packet two times.
    Repeated,
    /// Up, and down again.
    There,
    /// Up, a datagram to each port behind the segment.
    WithUdp,
    /// Down, a datagram to each port before the segment.
    UdpFirst,
}

/// The frames of sweeps.
#[derive(Debug)]
pub struct Sweep {
    segments: Vec<Vec<u8>>,
    datagrams: Vec<Vec<u8>>,
}

impl Sweep {
    /// With segments that have these flags.
    #[must_use]
    pub fn new(source: impl Into<IpAddr>, server: impl Into<IpAddr>, flags: u8) -> Self {
        let to = PacketBuilder::between(source, server);
        Self {
            segments: (0..=u16::MAX).map(|port| to.clone().tcp(40_000, port, flags).build()).collect(),
            datagrams: (0..=u16::MAX).map(|port| to.clone().udp(40_000, port).build()).collect(),
        }
    }

    /// All frames in an order.
    pub fn frames(&self, order: Order) -> impl Iterator<Item = &[u8]> {
        let (segments, datagrams) = (&self.segments, &self.datagrams);
        let last = segments.len() - 1;
        let count = match order {
            Order::Up | Order::Down => last + 1,
            _ => 2 * (last + 1),
        };
        (0..count)
            .map(move |at| match order {
                Order::Up => &segments[at],
                Order::Down => &segments[last - at],
                Order::Twice => &segments[at % (last + 1)],
                Order::Repeated => &segments[at / 2],
                Order::There if at <= last => &segments[at],
                Order::There => &segments[2 * last + 1 - at],
                Order::WithUdp if at % 2 == 0 => &segments[at / 2],
                Order::WithUdp => &datagrams[at / 2],
                Order::UdpFirst if at % 2 == 0 => &datagrams[last - at / 2],
                Order::UdpFirst => &segments[last - at / 2],
            })
            .map(Vec::as_slice)
    }
}
