//! Fragments: first, later, tiny, overlapping and atomic ones.

use knock_common::abi::counter::Counter::{
    DenyMalformed, DenyNew, DenyOverlap, DenyProbe, DenyTinyFragment, DenyUdp, KnockPacket, PassLaterFragment,
};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{ACK, FIN, PSH, PacketBuilder, RST, SYN, URG};

use super::{check, reads_v6, syn_v4, syn_v6, udp_v4, udp_v6, v4, v6};

#[test]
fn a_first_fragment_is_judged_by_what_it_holds() {
    for length in [14, 16, 20, 24] {
        let segment_v4 = |flags| v4().tcp(40_000, 2222, flags).payload(&[0; 64]);
        let segment_v6 = |flags| v6().tcp(40_000, 2222, flags).payload(&[0; 64]);
        check("SYN", segment_v4(SYN).first_fragment(length), Deny, DenyNew);
        check("SYN", segment_v6(SYN).first_fragment(length), Deny, DenyNew);
        check("FIN PSH URG", segment_v4(FIN | PSH | URG).first_fragment(length), Deny, DenyNew);
        check("ACK", segment_v4(ACK).first_fragment(length), Deny, DenyProbe);
        check("RST", segment_v6(RST).first_fragment(length), Deny, DenyProbe);
        check("elsewhere", syn_v4(80).payload(&[0; 64]).first_fragment(length), Pass, None);
    }
    for length in [8, 16] {
        check("UDP", udp_v4(51820).payload(&[0; 64]).first_fragment(length), Deny, DenyUdp);
        check("UDP", udp_v6(51820).payload(&[0; 64]).first_fragment(length), Deny, DenyUdp);
        check("elsewhere", udp_v6(53).payload(&[0; 64]).first_fragment(length), Pass, None);
    }
}

#[test]
fn a_first_fragment_that_hides_ports_or_flags_is_denied_if_it_could_be_ours() {
    for length in 0..4 {
        check("no ports", syn_v4(80).first_fragment(length), Deny, DenyTinyFragment);
        check("no ports", syn_v6(80).first_fragment(length), Deny, DenyTinyFragment);
    }
    for length in [4, 8, 13] {
        check("no flags", syn_v4(2222).first_fragment(length), Deny, DenyTinyFragment);
        check("no flags", syn_v6(2222).first_fragment(length), Deny, DenyTinyFragment);
        check("no flags, elsewhere", syn_v4(80).first_fragment(length), Pass, None);
        check("no flags, a knock", syn_v4(7000).first_fragment(length), Pass, KnockPacket);
    }
    for length in 0..8 {
        let datagram = udp_v4(51820);
        check("half a UDP header", datagram.first_fragment(length), Deny, DenyTinyFragment);
    }
    let chain = || syn_v6(2222).first_fragment(8);
    let cut = |octets| chain().extension(Extension::generic(DESTINATION, 2)).ip_length(octets);
    check("cut in the chain", cut(16), Deny, DenyTinyFragment);
    let authenticated = |octets: usize| syn_v4(2222).extension(Extension::authentication(6)).first_fragment(octets);
    check("cut in the authentication header", authenticated(8), Deny, DenyTinyFragment);
    check("cut behind it", authenticated(24), Deny, DenyTinyFragment);
    check("flags behind it", authenticated(40), Deny, DenyNew);
}

#[test]
fn later_fragments_pass_unless_they_could_overwrite_the_flags() {
    for more in [true, false] {
        for offset in [2, 3, 185, 0x1fff] {
            let later = |packet: PacketBuilder| packet.payload(&[0; 64]).later_fragment(offset, more);
            check("TCP", later(syn_v4(2222)), Pass, PassLaterFragment);
            check("TCP", later(syn_v6(2222)), Pass, PassLaterFragment);
            check("UDP", later(udp_v4(51820)), Pass, PassLaterFragment);
            check("UDP", later(udp_v6(51820)), Pass, PassLaterFragment);
        }
        let overlap = |packet: PacketBuilder| packet.payload(&[0; 64]).later_fragment(1, more);
        check("TCP at 8", overlap(syn_v4(2222)), Deny, DenyOverlap);
        check("TCP at 8", overlap(syn_v6(80)), Deny, DenyOverlap);
        check("UDP at 8", overlap(udp_v4(51820)), Pass, PassLaterFragment);
        check("UDP at 8", overlap(udp_v6(51820)), Pass, PassLaterFragment);
    }
    let cut = syn_v4(2222).payload(&[0; 64]).later_fragment(3, false).ip_length(200);
    check("longer than its frame", cut, Deny, DenyMalformed);
    let half = syn_v6(2222).payload(&[0; 64]).later_fragment(3, false).ip_length(4);
    check("half a fragment header", half, Deny, DenyMalformed);
}

#[test]
fn an_atomic_fragment_is_judged_and_never_a_knock() {
    reads_v6("atomic fragment", |packet| packet.fragment(0, false));
    check("first step", syn_v6(7000).fragment(0, false), Pass, KnockPacket);
}
