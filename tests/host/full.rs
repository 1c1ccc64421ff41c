//! Tables without room. Those of the kernel make room by forgetting what is oldest; should they refuse all the same, it
//! is counted.

use std::net::Ipv4Addr;

use knock_common::abi::counter::Counter::{FlowLost, PassFlow, PassTrusted};
use knock_common::gate::Verdict::Pass;
use tests::memory::Memory;
use tests::packet::{ACK, PacketBuilder, SERVER_V4, SYN};

use crate::common::{host, judged, syn};

/// Of a network that need not knock.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);

#[test]
fn a_connection_that_finds_no_room_among_flows_passes_and_is_counted() {
    let host = host();
    let to = |port: u16, flags| PacketBuilder::between(NEIGHBOUR, SERVER_V4).tcp(port, 2222, flags).build();
    judged(&host, "first", &syn(NEIGHBOUR, SERVER_V4, 2222).build(), Pass, &[PassTrusted]);
    judged(&host, "first, again", &to(40_000, ACK), Pass, &[PassFlow]);
    // Others fill the table.
    for port in 1..Memory::MAX_FLOWS as u16 {
        judged(&host, "others", &to(port, SYN), Pass, &[PassTrusted]);
    }
    judged(&host, "one more", &to(50_000, SYN), Pass, &[PassTrusted, FlowLost]);
    judged(&host, "the first goes on", &to(40_000, ACK), Pass, &[PassFlow]);
}
