//! TCP and UDP headers.

use knock_common::abi::counter::Counter::{DenyMalformed, DenyNew, DenyUdp};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::{ICMP, TCP, UDP};

use super::{check, syn_v4, syn_v6, udp_v4, udp_v6};

#[test]
fn a_tcp_header_that_contradicts_itself_is_denied() {
    let frame = |words| syn_v4(2222).data_offset(words);
    for words in [0, 1, 4, 6, 15] {
        check("data offset", frame(words), Deny, DenyMalformed);
        check("to any port", syn_v6(80).data_offset(words), Deny, DenyMalformed);
    }
    check("options", syn_v4(2222).tcp_options(&[1; 40]), Deny, DenyNew);
    check("options beyond a first fragment", frame(15).first_fragment(24), Deny, DenyNew);
}

#[test]
fn a_udp_header_that_contradicts_itself_is_denied() {
    let claims_v4 = |length| udp_v4(53).udp_length(length);
    let claims_v6 = |length| udp_v6(53).udp_length(length);
    for length in [1, 7, 14, u16::MAX] {
        check("length", claims_v4(length), Deny, DenyMalformed);
        check("length", claims_v6(length), Deny, DenyMalformed);
    }
    check("length 0 is a jumbogram over IPv6 alone", claims_v4(0), Deny, DenyMalformed);
    check("length 0 is a jumbogram over IPv6 alone", claims_v6(0), Pass, None);
    check("shorter than its packet", claims_v4(8), Pass, None);
    check("longer than a first fragment", claims_v4(1000).first_fragment(8), Pass, None);
    let gated = udp_v6(51820).udp_length(0);
    check("a jumbogram to the service", gated, Deny, DenyUdp);
}

#[test]
fn the_protocol_decides_and_not_the_port() {
    let frame = |protocol| syn_v4(2222).protocol(protocol);
    check("TCP", frame(TCP), Deny, DenyNew);
    check("read as UDP its sequence number is a length", frame(UDP), Deny, DenyMalformed);
    check("SCTP", frame(132), Pass, None);
    check("ICMP over IPv6", syn_v6(2222).protocol(ICMP), Pass, None);
    check("IPv6 in an IPv4 frame", syn_v6(2222).ether_type(0x0800), Pass, None);
    check("IPv4 in an IPv6 frame", syn_v4(2222).ether_type(0x86dd), Deny, DenyMalformed);
}
