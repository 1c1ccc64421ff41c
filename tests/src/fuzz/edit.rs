//! Changes of single fields of a frame, with the lengths and checksums that go with them.

use std::net::IpAddr;

use super::reading;
use crate::model::Protocol;
use crate::packet::checksum;
use crate::packet::extension::AUTHENTICATION;

/// Another source port, and the checksum that goes with it (RFC 1624).
pub fn set_source_port(frame: &mut [u8], port: u16) {
    let Some(at) = transport(frame).filter(|at| at + 8 <= frame.len()) else { return };
    let ip = network(frame);
    let field = match if frame[ip] >> 4 == 4 { frame[ip + 9] } else { frame[ip + 6] } {
        17 => at + 6,
        _ => at + 16,
    };
    replace(frame, at, &port.to_be_bytes(), &[field]);
}

/// Each address of `moves` becomes the other one, and the checksums are as right or wrong as they were.
pub fn readdress(frame: &mut [u8], moves: &[(IpAddr, IpAddr)]) {
    let ip = network(frame);
    let (first, length) = match frame.get(ip).map(|octet| octet >> 4) {
        Some(4) => (ip + 12, 4),
        Some(6) => (ip + 8, 16),
        _ => return,
    };
    let mut fields: Vec<usize> = (length == 4).then_some(ip + 10).into_iter().collect();
    // Only what has ports has a checksum over the addresses.
    if let (Some(segment), Some(mut at)) = (reading::read(frame), transport(frame)) {
        if length == 4 && frame[ip + 9] == AUTHENTICATION {
            at += (usize::from(frame[at + 1]) + 2) * 4;
        }
        fields.push(at + if segment.to.1 == Protocol::Udp { 6 } else { 16 });
    }
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    for at in [first, first + length] {
        let Some(old) = frame.get(at..at + length) else { return };
        let Some((_, new)) = moves.iter().find(|(from, _)| octets(*from) == old) else { continue };
        replace(frame, at, &octets(*new), &fields);
    }
}

/// Other octets, and the checksums in these fields as they follow from the old ones (RFC 1624).
fn replace(frame: &mut [u8], at: usize, new: &[u8], fields: &[usize]) {
    let Some(old) = frame.get(at..at + new.len()).map(<[u8]>::to_vec) else { return };
    put(frame, at, new);
    let words = |octets: &[u8]| -> Vec<u16> {
        octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    };
    for field in fields {
        let Some(&[high, low]) = frame.get(*field..field + 2) else { continue };
        let mut sum = u32::from(!u16::from_be_bytes([high, low]));
        sum += words(&old).into_iter().map(|word| u32::from(!word)).sum::<u32>();
        sum += words(new).into_iter().map(u32::from).sum::<u32>();
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        put(frame, *field, &(!(sum as u16)).to_be_bytes());
    }
}

pub(super) fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

pub(super) fn set(frame: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(octet) = frame.get_mut(at) {
        *octet = change(*octet);
    }
}

/// Where the IP header begins.
pub(super) fn network(frame: &[u8]) -> usize {
    let mut at = 12;
    while matches!(frame.get(at..at + 2), Some([0x81 | 0x91, 0] | [0x88, 0xa8])) {
        at += 4;
    }
    at + 2
}

/// Where TCP or UDP begins, if nothing odd is before it.
pub(super) fn transport(frame: &[u8]) -> Option<usize> {
    let ip = network(frame);
    match frame.get(ip)? >> 4 {
        4 => Some(ip + usize::from(frame[ip] & 15) * 4),
        6 => {
            let (mut kind, mut at) = (*frame.get(ip + 6)?, ip + 40);
            while let 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140 = kind {
                let units = usize::from(*frame.get(at + 1)?);
                let length = match kind {
                    44 => 8,
                    51 => (units + 2) * 4,
                    _ => (units + 1) * 8,
                };
                kind = *frame.get(at)?;
                at += length;
            }
            Some(at)
        }
        _ => None,
    }
}

/// Makes lengths and checksums right again, as far as the headers can be followed, so that a stack takes
/// what is left.
pub fn repair(frame: &mut [u8]) {
    let ip = network(frame);
    let Some(version) = frame.get(ip).map(|octet| octet >> 4) else { return };
    let rest = frame.len() - ip;
    let Some(l4) = transport(frame).filter(|at| *at <= frame.len()) else { return };
    if version == 4 && rest >= 20 {
        put(frame, ip + 2, &(rest as u16).to_be_bytes());
        put(frame, ip + 10, &[0, 0]);
        let header = &frame[ip..l4.max(ip + 20).min(frame.len())];
        let sum = checksum::internet(header);
        put(frame, ip + 10, &sum.to_be_bytes());
    } else if version == 6 && rest >= 40 {
        put(frame, ip + 4, &((rest - 40) as u16).to_be_bytes());
    } else {
        return;
    }
    repair_transport(frame, ip, version, l4);
}

fn repair_transport(frame: &mut [u8], ip: usize, version: u8, l4: usize) {
    let (src, dst, protocol) = if version == 4 {
        let address = |at: usize| <[u8; 4]>::try_from(&frame[at..at + 4]).map(IpAddr::from);
        (address(ip + 12), address(ip + 16), frame[ip + 9])
    } else {
        let address = |at: usize| <[u8; 16]>::try_from(&frame[at..at + 16]).map(IpAddr::from);
        // The last header names it; TCP unless the length says that it is a datagram's.
        let length = frame.get(l4 + 4..l4 + 6).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]])));
        (address(ip + 8), address(ip + 24), if length == Some(frame.len() - l4) { 17 } else { 6 })
    };
    let (Ok(src), Ok(dst)) = (src, dst) else { return };
    let field = match protocol {
        6 => l4 + 16,
        17 => l4 + 6,
        _ => return,
    };
    if frame.len() < field + 2 {
        return;
    }
    if protocol == 17 {
        let length = (frame.len() - l4) as u16;
        put(frame, l4 + 4, &length.to_be_bytes());
    }
    put(frame, field, &[0, 0]);
    let sum = checksum::transport(src, dst, protocol, &frame[l4..]);
    put(frame, field, &sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::seeds;
    use super::*;
    use crate::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, STRANGER_V4, STRANGER_V6};

    #[test]
    fn another_source_port_leaves_the_checksum_right() {
        for packet in seeds::packets().into_iter().take(14) {
            let mut frame = packet.build();
            set_source_port(&mut frame, 12_345);
            let mut repaired = frame.clone();
            repair(&mut repaired);
            assert_eq!(repaired, frame, "{packet:?}");
            assert_eq!(reading::read(&frame).map(|segment| segment.from), Some(12_345));
        }
    }

    #[test]
    fn other_addresses_leave_the_checksums_as_they_were() {
        let between = |v4: IpAddr, v6: IpAddr| seeds::packets_between([(v4, SERVER_V4.into()), (v6, SERVER_V6.into())]);
        let ours = between(CLIENT_V4.into(), CLIENT_V6.into());
        let theirs = between(STRANGER_V4.into(), STRANGER_V6.into());
        let moves = [(CLIENT_V4.into(), STRANGER_V4.into()), (CLIENT_V6.into(), STRANGER_V6.into())];
        let mut plain = [0, 0];
        for (our, their) in ours.iter().zip(&theirs) {
            let mut frame = our.build();
            let is_plain = {
                let mut repaired = frame.clone();
                repair(&mut repaired);
                repaired == frame && reading::read(&frame).is_some_and(|segment| segment.is_sound)
            };
            readdress(&mut frame, &moves);
            if is_plain {
                assert_eq!(frame, their.build(), "{our:?}");
                plain[usize::from(our.build()[14] >> 4 == 6)] += 1;
            }
        }
        assert!(plain.iter().all(|count| *count >= 14), "{plain:?}");
    }

    #[test]
    fn a_right_frame_is_not_changed_by_repair() {
        for packet in seeds::packets().into_iter().take(14) {
            let frame = packet.build();
            let mut repaired = frame.clone();
            repair(&mut repaired);
            assert_eq!(repaired, frame, "{packet:?}");
        }
    }
}
