//! Rules 13 and 14: how frames are read.

mod fragments;
mod link;
mod network;
mod transport;

use knock_common::abi::counter::Counter::{self, DenyNew, DenyProbe, DenyUdp};
use knock_common::gate::Verdict::{self, Deny, Pass};
use tests::packet::{ACK, CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, SYN};

use crate::common::{datagram, host, judged, syn};

fn v4() -> PacketBuilder {
    PacketBuilder::between(CLIENT_V4, SERVER_V4)
}

fn v6() -> PacketBuilder {
    PacketBuilder::between(CLIENT_V6, SERVER_V6)
}

fn syn_v4(port: u16) -> PacketBuilder {
    syn(CLIENT_V4, SERVER_V4, port)
}

fn syn_v6(port: u16) -> PacketBuilder {
    syn(CLIENT_V6, SERVER_V6, port)
}

fn udp_v4(port: u16) -> PacketBuilder {
    datagram(CLIENT_V4, SERVER_V4, port)
}

fn udp_v6(port: u16) -> PacketBuilder {
    datagram(CLIENT_V6, SERVER_V6, port)
}

/// Judges the frame on a host that has seen nothing yet.
#[track_caller]
fn check(what: &str, frame: impl Into<Frame>, verdict: Verdict, counted: impl Into<Option<Counter>>) {
    let counted = counted.into();
    judged(&host(), what, &frame.into().0, verdict, counted.as_slice());
}

struct Frame(Vec<u8>);

impl From<PacketBuilder> for Frame {
    fn from(builder: PacketBuilder) -> Self {
        Self(builder.build())
    }
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// An IPv4 frame with this wrapping, for every kind of packet inside.
#[track_caller]
fn reads_v4(what: &str, wrap: impl Fn(PacketBuilder) -> PacketBuilder) {
    reads(what, |inside| wrap(inside(v4())));
}

/// The same over IPv6.
#[track_caller]
fn reads_v6(what: &str, wrap: impl Fn(PacketBuilder) -> PacketBuilder) {
    reads(what, |inside| wrap(inside(v6())));
}

/// The gate finds the ports and flags behind the wrapping.
#[track_caller]
fn reads(what: &str, frame: impl Fn(&dyn Fn(PacketBuilder) -> PacketBuilder) -> PacketBuilder) {
    check(what, frame(&|packet| packet.tcp(40_000, 2222, SYN)), Deny, DenyNew);
    check(what, frame(&|packet| packet.tcp(40_000, 2222, ACK)), Deny, DenyProbe);
    check(what, frame(&|packet| packet.tcp(40_000, 80, SYN)), Pass, None);
    check(what, frame(&|packet| packet.udp(40_000, 51820)), Deny, DenyUdp);
    check(what, frame(&|packet| packet.udp(40_000, 2222)), Pass, None);
}
