//! The reader of frames: it never reads past the end, what it says is in the frame, and it sees whatever
//! a willing stack could see.

use knock_common::addr::Addr;
use knock_common::packet::flags::Segments;
use knock_common::packet::{self, Other, Packet, Plain, Transport};

use super::reading::{self, Segment};
use crate::model::Protocol;

/// Any octets are a frame.
pub fn run(frame: &[u8]) {
    let mut packet = Packet::BLANK;
    let read = packet::parse(frame, &mut packet);
    match (read, reading::read(frame)) {
        (Ok(()), seen) => {
            let seen = seen.unwrap_or_else(|| panic!("{packet:?} is not in the frame"));
            same(&packet, &seen);
        }
        (Err(other), Some(seen)) => {
            let passes = matches!(other, Other::Foreign | Other::LaterFragment);
            assert!(!passes, "{other:?} hides {seen:?}");
            assert!(!seen.may_belong(), "{other:?} denies what may belong to a connection: {seen:?}");
        }
        (Err(_), None) => {}
    }
    as_plain_it_is_the_same(frame, read, &packet);
    padding_changes_nothing(frame, read, &packet);
    without_its_link_header_it_is_the_same(frame, read, &packet);
}

fn same(packet: &Packet, seen: &Segment) {
    let protocol = if packet.transport == Transport::Tcp { Protocol::Tcp } else { Protocol::Udp };
    assert_eq!((packet.sport, packet.dport, protocol), (seen.from, seen.to.0, seen.to.1));
    assert_eq!((packet.src, packet.dst), (Addr::from(seen.source), Addr::from(seen.dest)));
    if let Some(flags) = seen.flags.filter(|_| !matches!(packet.shape, packet::Shape::Flagless)) {
        assert_eq!(packet.flags, flags);
    }
}

fn as_plain_it_is_the_same(frame: &[u8], read: Result<(), Other>, packet: &Packet) {
    let Some(plain) = Plain::look(frame) else { return };
    let mut seen = Packet::BLANK;
    plain.read(&mut seen, || 0);
    assert_eq!((Ok(()), seen), (read, *packet));
    let heeded = |segments: Segments| {
        let heeds = |flags| segments.has(flags);
        (plain.is_heeded(heeds), packet.is_heeded(heeds))
    };
    assert_eq!(heeded(Segments::OPENING), (packet.opens(), packet.opens()));
    assert_eq!(heeded(Segments(u64::MAX)), (true, true));
    let as_plain = (plain.transport, plain.dport, plain.source());
    assert_eq!(as_plain, (packet.transport, packet.dport, packet.src));
}

/// Octets behind the packet are the link's, unless its length says nothing.
fn padding_changes_nothing(frame: &[u8], read: Result<(), Other>, packet: &Packet) {
    if read.is_err() {
        return;
    }
    let mut padded = frame.to_vec();
    padded.extend([0xa5; 7]);
    let mut again = Packet::BLANK;
    assert_eq!(packet::parse(padded.as_slice(), &mut again), Ok(()));
    assert_eq!(again, *packet);
}

fn without_its_link_header_it_is_the_same(frame: &[u8], read: Result<(), Other>, packet: &Packet) {
    let kind = frame.get(12..14);
    let version = frame.get(14).map(|octet| octet >> 4);
    if !matches!((kind, version), (Some([0x08, 0]), Some(4)) | (Some([0x86, 0xdd]), Some(6))) {
        return;
    }
    let mut raw = Packet::BLANK;
    assert_eq!(packet::parse_ip(&frame[14..], &mut raw), read);
    if read.is_ok() {
        let shifted = Packet { ip: raw.ip + 14, l4: raw.l4 + 14, group: packet.group, ..raw };
        assert_eq!(shifted, *packet);
    }
}
