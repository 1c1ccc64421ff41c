//! Ethernet, VLAN tags, and what is no IP at all.

use knock_common::abi::counter::Counter::{DenyMalformed, DenyNew, DenyTooDeep, DenyUdp, KnockPacket};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::extension::{DESTINATION, ESP, Extension, NO_NEXT};
use tests::packet::{
    ARP, CLIENT_V4, CLIENT_V6, ICMP, OLD_VLAN, PacketBuilder, SERVER_V4, SERVICE_VLAN, VLAN, arp_request, ethernet,
    neighbour_solicitation,
};

use super::{check, reads_v4, reads_v6, syn_v4, syn_v6, udp_v4, udp_v6, v4, v6};

#[test]
fn ethernet_is_read_with_up_to_two_tags() {
    reads_v4("no tag", |packet| packet);
    reads_v6("no tag", |packet| packet);
    for tag in [VLAN, SERVICE_VLAN, OLD_VLAN] {
        reads_v4("one tag", |packet| packet.vlan(tag));
        reads_v6("one tag", |packet| packet.vlan(tag));
        for inner in [VLAN, SERVICE_VLAN, OLD_VLAN] {
            reads_v4("two tags", |packet| packet.vlans(&[tag, inner]));
            reads_v6("two tags", |packet| packet.vlans(&[tag, inner]));
        }
    }
}

#[test]
fn a_stack_of_tags_that_is_too_deep_is_denied_unread() {
    for tags in [[VLAN; 3], [SERVICE_VLAN, VLAN, VLAN], [OLD_VLAN; 3]] {
        check("three tags", syn_v4(2222).vlans(&tags), Deny, DenyTooDeep);
        check("three tags", syn_v6(2222).vlans(&tags), Deny, DenyTooDeep);
        check("three tags, nothing to us", arp_in(&tags), Deny, DenyTooDeep);
    }
    check("nine tags", syn_v4(80).vlans(&[VLAN; 9]), Deny, DenyTooDeep);
}

fn arp_in(tags: &[u16]) -> PacketBuilder {
    v4().vlans(tags).ether_type(ARP)
}

#[test]
fn a_frame_that_ends_within_its_tags_is_denied() {
    for length in 14..18 {
        check("cut in the tag", syn_v4(2222).vlan(VLAN).cut(length), Deny, DenyMalformed);
    }
    check("cut in the second", syn_v4(2222).vlans(&[VLAN; 2]).cut(20), Deny, DenyMalformed);
}

#[test]
fn frames_of_other_protocols_pass_untouched() {
    check("ARP", arp_request(CLIENT_V4, SERVER_V4), Pass, None);
    check("ARP in a VLAN", arp_in(&[VLAN]), Pass, None);
    check("neighbour solicitation", neighbour_solicitation(CLIENT_V6), Pass, None);
    check("LLDP", ethernet(0x88cc, &[0; 46]), Pass, None);
    check("802.3 with LLC", ethernet(46, &[0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0]), Pass, None);
    check("MPLS", ethernet(0x8847, &[0x45; 60]), Pass, None);
    check("a tag of no VLAN type", syn_v4(2222).vlan(0x88e5), Pass, None);
    check("no type at all", vec![0; 13], Pass, None);
    check("empty", Vec::new(), Pass, None);
    check("ping", v4().icmp(8, 0), Pass, None);
    check("ping", v6().icmp(128, 0), Pass, None);
    for protocol in [2, 4, 41, 47, ESP, 89, 112, 132, 253] {
        check("other protocol", v4().raw(protocol), Pass, None);
        check("other protocol", v6().raw(protocol), Pass, None);
    }
    check("a broken ping", v4().icmp(8, 0).ip_length(9000), Pass, None);
    check("a piece of a ping", v4().raw(ICMP).later_fragment(1, true), Pass, None);
    check("no next header", v6().raw(NO_NEXT), Pass, None);
    let wrapped = v6().icmp(128, 0);
    check("ping behind options", wrapped.extension(Extension::generic(DESTINATION, 1)), Pass, None);
    let hidden = syn_v6(2222).extension(Extension { kind: ESP, rest: vec![0; 15] });
    check("encrypted", hidden, Pass, None);
}

#[test]
fn frames_to_a_group_are_gated_and_never_a_knock() {
    for group in [PacketBuilder::broadcast, PacketBuilder::multicast] {
        check("SYN", group(syn_v4(2222)), Deny, DenyNew);
        check("UDP", group(udp_v6(51820)), Deny, DenyUdp);
        check("first step", group(syn_v4(7000)), Pass, KnockPacket);
        check("elsewhere", group(udp_v4(5353)), Pass, None);
    }
}
