//! Frames as literal octets, so that the reading of them rests on no builder.

use super::{Other, Packet, Plain, Shape, Transport, parse, parse_ip};
use crate::abi::flags::TcpFlags;
use crate::addr::Addr;

/// 192.0.2.7:40000 -> 192.0.2.1:2222, TCP SYN.
const SYN_V4: [u8; 54] = [
    0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
    0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0xb6, 0xc6, 192, 0, 2, 7, 192, 0, 2, 1, // IPv4
    0x9c, 0x40, 0x08, 0xae, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, // TCP
];

/// 2001:db8::7:40000 -> 2001:db8::1:8000, UDP behind a hop-by-hop header.
const UDP_V6: [u8; 70] = [
    0x33, 0x33, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x86, 0xdd, // Ethernet
    0x60, 0, 0, 0, 0, 16, 0, 64, // IPv6
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, // source
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // destination
    17, 0, 1, 4, 0, 0, 0, 0, // hop-by-hop: PadN
    0x9c, 0x40, 0x1f, 0x40, 0, 8, 0, 0, // UDP
];

fn read(frame: &[u8]) -> Result<Packet, Other> {
    let mut packet = Packet::BLANK;
    parse(frame, &mut packet).map(|()| packet)
}

/// What is read as plain, if it is.
fn plain_of(frame: &[u8]) -> Option<Packet> {
    let mut packet = Packet::BLANK;
    Plain::look(frame)?.read(&mut packet, || 0);
    Some(packet)
}

/// The frame with one more tag, of VLAN 5.
fn with_tag(frame: &[u8], kind: u16) -> Vec<u8> {
    [&frame[..12], &kind.to_be_bytes(), &[0, 5], &frame[12..]].concat()
}

/// Between the values of an octet: an interpreter is slow, and sees what is undefined behaviour at any of them.
const STEP: usize = if cfg!(miri) { 51 } else { 1 };

#[test]
fn what_is_read_as_plain_is_what_is_read() {
    let mut udp = UDP_V6.to_vec();
    // Without its hop-by-hop header.
    (udp[19], udp[20]) = (8, 17);
    udp.drain(54..62);
    let tcp: Vec<u8> = [&udp[..18], &[0, 20, 6], &udp[21..54], &SYN_V4[34..]].concat();
    // Payload, so that a length can be wrong by less than a header.
    let paid: Vec<u8> = [&udp[..18], &[0, 24, 6], &udp[21..54], &SYN_V4[34..], b"paid"].concat();
    let untagged = [&SYN_V4[..], &udp, &tcp, &paid];
    let tagged = untagged.map(|frame| with_tag(frame, 0x8100));
    for plain in untagged.into_iter().chain(tagged.iter().map(Vec::as_slice)) {
        assert!(plain_of(plain).is_some(), "{plain:02x?}");
        // Every octet with every value, every length, and addresses that IPv4 ones are mapped to.
        for at in 0..plain.len() {
            let short = &plain[..at];
            assert!(plain_of(short).is_none_or(|packet| read(short) == Ok(packet)), "{short:02x?}");
            for value in (0..=u8::MAX).step_by(STEP) {
                let mut frame = plain.to_vec();
                frame[at] = value;
                if let Some(packet) = plain_of(&frame) {
                    assert_eq!(read(&frame), Ok(packet), "{frame:02x?}");
                }
            }
        }
    }
    for at in [22, 38] {
        let mut mapped = tcp.clone();
        mapped[at..at + 12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!((plain_of(&mapped), read(&mapped)), (None, Err(Other::Malformed)));
    }
    assert_eq!(plain_of(&UDP_V6), None);
    for other in [with_tag(&SYN_V4, 0x88a8), with_tag(&SYN_V4, 0x9100), with_tag(&tagged[0], 0x8100)] {
        assert!(plain_of(&other).is_none() && read(&other).is_ok(), "{other:02x?}");
    }
}

#[test]
fn every_field_of_a_tcp_segment_over_ipv4_is_found() {
    let expected = Packet {
        src: Addr::from_v4([192, 0, 2, 7]),
        dst: Addr::from_v4([192, 0, 2, 1]),
        sport: 40_000,
        dport: 2222,
        transport: Transport::Tcp,
        flags: TcpFlags::SYN,
        shape: Shape::Whole,
        group: false,
        ip: 14,
        l4: 34,
        l4_len: 20,
    };
    assert_eq!(read(&SYN_V4), Ok(expected));
}

#[test]
fn every_field_of_a_udp_datagram_over_ipv6_is_found() {
    let address = |last| Addr::from_v6([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    let expected = Packet {
        src: address(7),
        dst: address(1),
        sport: 40_000,
        dport: 8000,
        transport: Transport::Udp,
        flags: 0,
        shape: Shape::Whole,
        group: true,
        ip: 14,
        l4: 62,
        l4_len: 8,
    };
    assert_eq!(read(&UDP_V6), Ok(expected));
}

#[test]
fn without_a_link_header_every_offset_is_less() {
    let read = |frame: &[u8]| {
        let mut packet = Packet::BLANK;
        parse_ip(frame, &mut packet).map(|()| packet)
    };
    for frame in [&SYN_V4[..], &UDP_V6[..]] {
        let with = self::read(frame).unwrap();
        let without = Packet { ip: 0, l4: with.l4 - 14, group: false, ..with };
        assert_eq!(read(&frame[14..]), Ok(without));
    }
    let mut group = SYN_V4;
    group[30] = 224;
    assert!(read(&group[14..]).unwrap().group);
    // With a link header before it, an MPLS label, nothing, an ARP request.
    for frame in [&SYN_V4[..], &[0x00, 0x01, 0x11, 0x40][..], &[][..], &[0, 1, 8, 0][..]] {
        assert_eq!(read(frame), Err(Other::Malformed));
    }
    assert_eq!(read(&SYN_V4[14..53]), Err(Other::Malformed));
}

#[test]
fn a_tag_moves_every_offset() {
    let mut frame = SYN_V4.to_vec();
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    let packet = read(&frame).unwrap();
    assert_eq!((packet.ip, packet.l4, packet.dport), (18, 38, 2222));
}

#[test]
fn a_frame_that_ends_too_early_is_no_packet() {
    for length in 0..SYN_V4.len() {
        let expected = if length < 14 { Other::Foreign } else { Other::Malformed };
        assert_eq!(read(&SYN_V4[..length]), Err(expected), "{length} octets");
    }
}

#[test]
fn fragments_are_told_apart() {
    let fragment = |field: u16| {
        let mut frame = SYN_V4;
        frame[20..22].copy_from_slice(&field.to_be_bytes());
        read(&frame).map(|packet| packet.shape)
    };
    assert_eq!(fragment(0x4000), Ok(Shape::Whole));
    assert_eq!(fragment(0x2000), Ok(Shape::Part));
    assert_eq!(fragment(0x2001), Err(Other::Overlap));
    assert_eq!(fragment(0x0001), Err(Other::Overlap));
    assert_eq!(fragment(0x2002), Err(Other::LaterFragment));
    assert_eq!(fragment(0x1fff), Err(Other::LaterFragment));
}
