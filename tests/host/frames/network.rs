//! IPv4 and IPv6 headers and what stands behind them.

use std::net::Ipv6Addr;

use knock_common::abi::counter::Counter::{DenyMalformed, DenyNew, DenyTooDeep, KnockPacket};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::extension::{DESTINATION, Extension, HIP, HOP_BY_HOP, MOBILITY, ROUTING, SHIM6};
use tests::packet::{PacketBuilder, VLAN};

use super::{check, reads_v4, reads_v6, syn_v4, syn_v6, udp_v4};

#[test]
fn ipv4_options_are_stepped_over() {
    for words in 1..=10 {
        reads_v4("options", |packet| packet.options(&vec![1; words * 4]));
    }
    // The octets at the place of the ports of a header without options spell port 80.
    reads_v4("options like ports", |packet| packet.options(&[0x94, 4, 0, 80]));
    reads_v4("options in a VLAN", |packet| packet.vlan(VLAN).options(&[1; 40]));
}

#[test]
fn an_ipv4_header_that_contradicts_itself_is_denied() {
    let frame = || syn_v4(2222);
    for version in [0, 5, 6, 15] {
        check("version", frame().version(version), Deny, DenyMalformed);
    }
    for words in 0..5 {
        check("header length", frame().header_words(words), Deny, DenyMalformed);
    }
    check("header beyond the packet", frame().header_words(15), Deny, DenyMalformed);
    check("packet shorter than its header", frame().ip_length(19), Deny, DenyMalformed);
    check("packet longer than the frame", frame().ip_length(41), Deny, DenyMalformed);
    check("packet much longer", frame().ip_length(u16::MAX), Deny, DenyMalformed);
    check("packet without a TCP header", frame().ip_length(20), Deny, DenyMalformed);
    check("packet with half a TCP header", frame().ip_length(33), Deny, DenyMalformed);
    check("to any port", syn_v4(80).ip_length(41), Deny, DenyMalformed);
    check("of UDP", udp_v4(80).ip_length(100), Deny, DenyMalformed);
    check("header beyond the frame", frame().cut(33), Deny, DenyMalformed);
    check("padding is no part of the packet", frame().padded(60), Deny, DenyNew);
    check("padding holds no TCP header", frame().ip_length(30).padded(60), Deny, DenyMalformed);
}

#[test]
fn an_ipv6_header_that_contradicts_itself_is_denied() {
    let frame = || syn_v6(2222);
    for version in [0, 4, 5, 7, 15] {
        check("version", frame().version(version), Deny, DenyMalformed);
    }
    check("packet longer than the frame", frame().ip_length(21), Deny, DenyMalformed);
    check("packet without a TCP header", frame().ip_length(1), Deny, DenyMalformed);
    check("header beyond the frame", frame().cut(53), Deny, DenyMalformed);
    check("an options header longer than the frame", claims(HOP_BY_HOP, 255), Deny, DenyMalformed);
    check("an options header longer than the packet", claims(DESTINATION, 4), Deny, DenyMalformed);
    check("an authentication header that is too long", claims(51, 255), Deny, DenyMalformed);
    let half = frame().extension(Extension::generic(HOP_BY_HOP, 1).cut(4)).ip_length(4);
    check("half an options header", half, Deny, DenyMalformed);
}

#[test]
fn an_ipv6_address_that_passes_for_an_ipv4_host_is_denied() {
    let mapped: Ipv6Addr = "::ffff:192.0.2.2".parse().unwrap();
    let server: Ipv6Addr = "2001:db8:1::1".parse().unwrap();
    let frame = PacketBuilder::between(mapped, server).tcp(40_000, 2222, 2);
    check("v4-mapped source", frame, Deny, DenyMalformed);
    let client: Ipv6Addr = "2001:db8:1::2".parse().unwrap();
    let frame = PacketBuilder::between(client, mapped).tcp(40_000, 2222, 2);
    check("v4-mapped destination", frame, Deny, DenyMalformed);
}

fn claims(kind: u8, length: u8) -> PacketBuilder {
    syn_v6(2222).extension(Extension::generic(kind, 1).claiming(length))
}

#[test]
fn a_packet_of_length_zero_is_judged_and_never_a_knock() {
    reads_v4("merged behind the driver", |packet| packet.ip_length(0));
    reads_v6("jumbogram", |packet| packet.ip_length(0).extension(Extension::generic(HOP_BY_HOP, 1)));
    check("first step", syn_v4(7000).ip_length(0), Pass, KnockPacket);
    check("first step", syn_v6(7000).ip_length(0), Pass, KnockPacket);
    check("cut in TCP", syn_v4(2222).ip_length(0).cut(47), Deny, DenyMalformed);
}

#[test]
fn ipv6_extension_headers_are_stepped_over() {
    for kind in [HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY, HIP, SHIM6] {
        for units in [1, 2, 3, 32, 128, 255, 256] {
            reads_v6("one header", |packet| packet.extension(Extension::generic(kind, units)));
        }
    }
    for words in [3, 4, 6, 8, 256, 257] {
        reads_v6("authentication", |packet| packet.extension(Extension::authentication(words)));
        reads_v4("authentication", |packet| packet.extension(Extension::authentication(words)));
    }
    reads_v6("all kinds", |packet| {
        let packet = packet.extension(Extension::generic(HOP_BY_HOP, 2)).extension(Extension::generic(ROUTING, 3));
        let packet = packet.extension(Extension::fragment(0, false)).extension(Extension::authentication(6));
        packet.extension(Extension::generic(DESTINATION, 1)).extension(Extension::generic(MOBILITY, 1)).vlan(VLAN)
    });
    // A length octet of 255 is 2048 octets: it must not wrap in eight bits.
    reads_v6("eight of the longest", |packet| {
        (0..8).fold(packet, |packet, _| packet.extension(Extension::generic(DESTINATION, 256)))
    });
}

#[test]
fn a_chain_of_more_than_eight_headers_is_denied() {
    let chain = |count| (0..count).fold(syn_v6(2222), |packet, _| packet.extension(Extension::generic(DESTINATION, 1)));
    check("eight", chain(8), Deny, DenyNew);
    check("nine", chain(9), Deny, DenyTooDeep);
    check("forty", chain(40), Deny, DenyTooDeep);
    let open = (0..9).fold(syn_v6(80), |packet, _| packet.extension(Extension::generic(ROUTING, 1)));
    check("nine, to any port", open, Deny, DenyTooDeep);
    let fragments = (0..8).fold(syn_v6(2222), |packet, _| packet.fragment(0, false));
    check("eight fragment headers", fragments.clone(), Deny, DenyNew);
    check("nine fragment headers", fragments.fragment(0, false), Deny, DenyTooDeep);
    let nested = syn_v4(2222).extension(Extension::authentication(3));
    check("two authentication headers", nested.extension(Extension::authentication(3)), Deny, DenyTooDeep);
}

#[test]
fn the_reserved_bit_of_ipv4_makes_no_fragment() {
    // Offset 0x4000 is "don't fragment", 0x8000 is reserved.
    for bits in [0x4000, 0x8000, 0xc000] {
        reads_v4("flag bits", |packet| packet.fragment(bits, false));
    }
}
