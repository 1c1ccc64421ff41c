//! Rule 1: the checksums of a knock are verified, of whatever length it is.

use knock_common::abi::counter::Counter::{self, AttemptEnded, AttemptStarted, BadChecksum, KnockPacket};
use knock_common::gate::Verdict::Pass;
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, VLAN};

use crate::common::{CONFIG, datagram, host, host_of, judged, syn};

const RIGHT: &[Counter] = &[KnockPacket, AttemptStarted];
const WRONG: &[Counter] = &[KnockPacket, BadChecksum];

#[track_caller]
fn check(what: &str, first_knock: &PacketBuilder, counted: &[Counter]) {
    judged(&host(), what, &first_knock.build(), Pass, counted);
}

fn tcp_v4() -> PacketBuilder {
    syn(CLIENT_V4, SERVER_V4, 7000)
}

fn tcp_v6() -> PacketBuilder {
    syn(CLIENT_V6, SERVER_V6, 7000)
}

fn udp_v4() -> PacketBuilder {
    datagram(CLIENT_V4, SERVER_V4, 7001)
}

fn udp_v6() -> PacketBuilder {
    datagram(CLIENT_V6, SERVER_V6, 7001)
}

#[test]
fn a_wrong_checksum_makes_a_knock_none() {
    for packet in [tcp_v4(), tcp_v6(), udp_v4(), udp_v6()] {
        check("right", &packet, RIGHT);
        check("wrong", &packet.clone().wrong_checksum(), WRONG);
        check("right in a VLAN", &packet.clone().vlan(VLAN), RIGHT);
        check("right and padded", &packet.padded(64), RIGHT);
    }
    check("wrong IPv4 header", &tcp_v4().wrong_header_checksum(), WRONG);
    check("wrong IPv4 header", &udp_v4().wrong_header_checksum(), WRONG);
}

#[test]
fn every_length_is_summed_to_its_end() {
    for length in (0..=40).chain([999, 1000, 1440, 1459, 1460]) {
        let payload: Vec<u8> = (0..length).map(|index| (index * 7 + 3) as u8).collect();
        for packet in [tcp_v4(), tcp_v6(), udp_v4(), udp_v6()] {
            let packet = packet.payload(&payload);
            check("right", &packet, RIGHT);
            check("wrong", &packet.clone().wrong_checksum(), WRONG);
            if length > 0 {
                let mut frame = packet.build();
                if let Some(last) = frame.last_mut() {
                    *last ^= 0x80;
                }
                judged(&host(), "last octet changed", &frame, Pass, WRONG);
            }
        }
    }
}

#[test]
fn a_knock_longer_than_an_ethernet_frame_is_none() {
    check("1480 octets", &tcp_v4().payload(&[0; 1460]), RIGHT);
    check("1481 octets", &tcp_v4().payload(&[0; 1461]), WRONG);
    check("a jumbo frame", &udp_v6().payload(&[0; 8000]), WRONG);
}

#[test]
fn ipv4_options_are_part_of_the_header_sum() {
    for words in 1..=10 {
        let packet = tcp_v4().options(&vec![1; words * 4]);
        check("options", &packet, RIGHT);
        check("options", &packet.wrong_header_checksum(), WRONG);
    }
}

#[test]
fn headers_before_the_transport_are_no_part_of_its_sum() {
    let packet = tcp_v6().extension(Extension::generic(DESTINATION, 3));
    check("options", &packet, RIGHT);
    check("options", &packet.wrong_checksum(), WRONG);
    check("authentication", &udp_v4().extension(Extension::authentication(6)), RIGHT);
}

#[test]
fn udp_without_a_checksum_is_right_over_ipv4_alone() {
    check("IPv4", &udp_v4().without_udp_checksum(), RIGHT);
    check("IPv6", &udp_v6().without_udp_checksum(), WRONG);
    check("IPv4 with a wrong header", &udp_v4().without_udp_checksum().wrong_header_checksum(), WRONG);
}

#[test]
fn a_udp_sum_of_zero_is_sent_as_ones() {
    // A payload that makes the sum come out as zero.
    let bare = udp_v4().payload(&[0, 0]).build();
    let field = bare[14 + 20 + 6..][..2].to_vec();
    let packet = udp_v4().payload(&field);
    assert_eq!(packet.build()[14 + 20 + 6..][..2], [0xff, 0xff]);
    check("all ones", &packet, RIGHT);
}

#[test]
fn a_datagram_shorter_than_its_packet_is_summed_to_its_own_end() {
    check("surplus", &udp_v4().payload(b"knock and more").udp_length(13), RIGHT);
    check("surplus", &udp_v6().payload(b"knock and more").udp_length(13), RIGHT);
    check("surplus and wrong", &udp_v4().payload(b"knock and more").udp_length(13).wrong_checksum(), WRONG);
}

#[test]
fn nothing_is_verified_where_the_config_says_so() {
    let off = CONFIG.replace("[options]", "[options]\nverify_checksums = false");
    judged(&host_of(&off), "TCP", &tcp_v4().wrong_checksum().build(), Pass, RIGHT);
    judged(&host_of(&off), "header", &tcp_v4().wrong_header_checksum().build(), Pass, RIGHT);
    judged(&host_of(&off), "UDP", &udp_v6().without_udp_checksum().build(), Pass, RIGHT);
}

#[test]
fn a_wrong_knock_ends_an_attempt_whatever_its_checksum() {
    let host = host();
    judged(&host, "step 1", &tcp_v4().build(), Pass, RIGHT);
    judged(&host, "step 2, spoilt", &datagram(CLIENT_V4, SERVER_V4, 8000).wrong_checksum().build(), Pass, WRONG);
    judged(&host, "step 1 again, spoilt", &tcp_v4().wrong_checksum().build(), Pass, &[KnockPacket]);
    judged(&host, "stray", &syn(CLIENT_V4, SERVER_V4, 31337).wrong_checksum().build(), Pass, &[AttemptEnded]);
}
