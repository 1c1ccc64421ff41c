//! A frame whose headers lie across buffers is gated like any other. It is never a knock, and has no answer.

use knock_common::abi::counter::Counter::{AttemptEnded, AttemptStarted, DenyNew, KnockPacket};
use knock_common::gate::Verdict::{Deny, Pass, Reject};
use knock_common::packet::link::Link;
use tests::memory::Memory;
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};

use crate::common::{CONFIG, host, host_of, syn};

/// Octets in the first buffer: not the whole header of IP.
const FIRST: usize = 20;

#[test]
fn a_packet_across_buffers_is_gated_and_never_a_knock() {
    let host = host();
    for (knock, service) in [
        (syn(CLIENT_V4, SERVER_V4, 7000), syn(CLIENT_V4, SERVER_V4, 2222)),
        (syn(CLIENT_V6, SERVER_V6, 7000), syn(CLIENT_V6, SERVER_V6, 2222)),
    ] {
        let split = |frame: Vec<u8>| host.judge_split(Link::Ethernet, &frame, FIRST);
        assert_eq!((split(knock.build()), split(service.build())), (Pass, Deny));
    }
    assert_eq!((host.counter(DenyNew), host.counter(AttemptStarted), host.counter(KnockPacket)), (2, 0, 0));
}

#[test]
fn a_step_across_buffers_is_a_packet_to_a_closed_port() {
    let host = host();
    let knock = syn(CLIENT_V4, SERVER_V4, 7000).build();
    assert_eq!(host.judge_split(Link::Ethernet, &knock, knock.len()), Pass);
    assert_eq!(host.judge_split(Link::Ethernet, &syn(CLIENT_V4, SERVER_V4, 9000).build(), FIRST), Pass);
    assert_eq!((host.counter(AttemptStarted), host.counter(AttemptEnded)), (1, 1));
}

#[test]
fn a_packet_across_buffers_has_no_answer() {
    // Not for its checksum, which the first buffer alone cannot show to be right.
    let host = host_of(&CONFIG.replace("[options]", "[options]\ndeny = \"reject\"\nverify_checksums = false"));
    let frame = syn(CLIENT_V4, SERVER_V4, 2222).build();
    let split = |host: &Memory, first| host.judge_split(Link::Ethernet, &frame, first);
    assert_eq!((split(&host, frame.len()), split(&host, FIRST)), (Reject, Deny));
}
