//! Frames that nobody would send: from every shape of packet, changed in ways that have fooled filters.

use std::ops::Range;

use fastrand::Rng;

use super::edit::{network, put, repair, set, set_source_port, transport};
use super::seeds;
use crate::packet::extension::FRAGMENT;
use crate::packet::{IPV4, IPV6, OLD_VLAN, SERVICE_VLAN, VLAN, checksum};

/// Ports that mean something to the gates of the tests.
const PORTS: [u16; 10] = [2222, 2222, 2222, 51820, 51820, 7000, 8000, 9000, 22, 80];

/// A source of frames, always the same from the same seed.
#[derive(Debug)]
pub struct Mutator {
    rng: Rng,
    bases: Vec<Vec<u8>>,
    varies_ports: bool,
}

impl Mutator {
    /// From all frames of the tables and the cases.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(seed, seeds::frames())
    }

    /// From these frames.
    #[must_use]
    pub fn of(seed: u64, bases: Vec<Vec<u8>>) -> Self {
        Self { rng: Rng::with_seed(seed), bases, varies_ports: false }
    }

    /// Each frame from another source port, so that each is a flow of its own.
    #[must_use]
    pub const fn from_many_ports(mut self) -> Self {
        self.varies_ports = true;
        self
    }

    /// The next frame.
    pub fn frame(&mut self) -> Vec<u8> {
        let mut frame = self.bases[self.rng.usize(..self.bases.len())].clone();
        if self.varies_ports {
            set_source_port(&mut frame, self.rng.u16(1024..));
        }
        for _ in 0..self.rng.usize(..4) {
            self.change(&mut frame);
        }
        if self.rng.u8(..10) < 7 {
            repair(&mut frame);
        }
        if self.rng.u8(..10) == 0 {
            frame.truncate(self.rng.usize(..=frame.len()));
        }
        frame
    }

    /// A right frame in fragments that a path could have made of it, of any size and in any order.
    pub fn fragments(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let Some(l4) = divisible(frame) else { return vec![frame.to_vec()] };
        let id = self.rng.u32(1..);
        let parts = self.parts(frame.len() - l4);
        let mut pieces: Vec<_> = parts.into_iter().map(|part| fragment(frame, l4, id, part)).collect();
        self.rng.shuffle(&mut pieces);
        pieces
    }

    /// Fragments of a right frame as no path makes them: some overlap others, before or behind, or there is a
    /// second first one that says something else.
    pub fn overlapping_fragments(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        let Some(l4) = divisible(frame) else { return vec![frame.to_vec()] };
        let (id, length) = (self.rng.u32(1..), frame.len() - l4);
        let apart = self.parts(length);
        let mut parts = apart.clone();
        for part in &mut parts {
            if part.start > 0 && self.chance(15) {
                part.start -= 8 * self.rng.usize(1..=part.start / 8);
            }
            if part.end < length && self.chance(15) {
                let more = 8 * self.rng.usize(1..=(length - part.end).div_ceil(8));
                part.end = length.min(part.end + more);
            }
        }
        let has_second = parts == apart || self.chance(40);
        let mut pieces: Vec<_> = parts.into_iter().map(|part| fragment(frame, l4, id, part)).collect();
        if has_second {
            let other = self.something_else(frame, l4);
            pieces.push(fragment(&other, l4, id, 0..8 * self.rng.usize(1..=(length - 1) / 8)));
        }
        self.rng.shuffle(&mut pieces);
        pieces
    }

    /// Two or more parts of so many octets, each but the last a multiple of 8.
    fn parts(&mut self, length: usize) -> Vec<Range<usize>> {
        // What follows the first part has an octet at least.
        let first = (length - 1) / 8;
        let largest = self.rng.usize(1..=first);
        let mut parts = Vec::new();
        let mut at = 0;
        while at < length {
            let end = length.min(at + 8 * self.rng.usize(1..=largest));
            parts.push(at..end);
            at = end;
        }
        parts
    }

    /// The frame to another port, with other flags or other octets; its checksum is right.
    fn something_else(&mut self, frame: &[u8], l4: usize) -> Vec<u8> {
        let mut other = frame.to_vec();
        let rng = &mut self.rng;
        match rng.u8(..3) {
            0 => put(&mut other, l4 + 2, &rng.choice([22_u16, 53, 80, 443]).unwrap_or(80).to_be_bytes()),
            1 => set(&mut other, l4 + 13, |flags| flags ^ rng.u8(1..)),
            _ => other[l4 + 4..].iter_mut().for_each(|octet| *octet ^= rng.u8(1..)),
        }
        repair(&mut other);
        other
    }

    /// Where to split a frame into two buffers.
    pub fn split(&mut self, frame: &[u8]) -> usize {
        self.rng.usize(14..frame.len().max(15))
    }

    /// True so many times in a hundred.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn change(&mut self, frame: &mut Vec<u8>) {
        let rng = &mut self.rng;
        if frame.len() < 20 {
            frame.resize(60, 0);
        }
        match rng.u8(..14) {
            0 => {
                let at = rng.usize(..frame.len());
                frame[at] = rng.u8(..);
            }
            1 => {
                let at = rng.usize(..frame.len());
                frame[at] ^= 1 << rng.u8(..8);
            }
            2 => push_tag(rng, frame),
            3 => pop_tag(frame),
            // The fields that fooled others: header length, total length, fragment, protocol.
            4 => set(frame, 14, |octet| octet & 0xf0 | rng.u8(..16)),
            5 => {
                let at = rng.choice([16, 17, 18, 19]).unwrap_or(16);
                set(frame, at, |_| rng.choice([0, 1, 8, 20, 40, 0xff]).unwrap_or(0));
            }
            6 => {
                let field = rng.choice([0x2000, 0x4000, 0x2001, 1, 2, 0x1fff, 0x3fff, 0x8000]).unwrap_or(0_u16);
                put(frame, 20, &field.to_be_bytes());
            }
            7 => {
                let at = rng.choice([20, 23, 54, 62]).unwrap_or(20);
                let kinds = [0, 4, 6, 6, 17, 41, 43, 44, 50, 51, 58, 59, 60, 135, 139, 140, 255];
                set(frame, at, |_| rng.choice(kinds).unwrap_or(0));
            }
            8 => {
                let at = transport(frame).unwrap_or(34);
                let port = rng.choice(PORTS).unwrap_or(0);
                put(frame, at + 2, &port.to_be_bytes());
            }
            9 => {
                let at = transport(frame).unwrap_or(34);
                let flags = rng.u8(..);
                set(frame, at + 13, |_| flags);
            }
            10 => {
                let at = transport(frame).unwrap_or(34);
                set(frame, at + 12, |_| rng.u8(..16) << 4);
            }
            11 => insert_extension(rng, frame),
            12 => {
                let kind = rng.choice([IPV4, IPV6, VLAN, SERVICE_VLAN, OLD_VLAN, 0x0806, 0x8864, 0x8847, 46]);
                put(frame, 12, &kind.unwrap_or(0).to_be_bytes());
            }
            _ => {
                let length = rng.usize(1..40);
                let longer = rng.u8(..16) == 0;
                let filler = rng.u8(..);
                frame.extend(vec![filler; if longer { 3000 } else { length }]);
            }
        }
    }
}

/// Where a frame can be divided into two fragments or more: where TCP or UDP begins.
fn divisible(frame: &[u8]) -> Option<usize> {
    transport(frame).filter(|at| *at + 8 < frame.len())
}

/// A part of what follows the IP header (and its extensions) as a fragment of its own.
fn fragment(frame: &[u8], l4: usize, id: u32, part: Range<usize>) -> Vec<u8> {
    let ip = network(frame);
    let more = l4 + part.end < frame.len();
    let mut piece = frame[..l4].to_vec();
    if frame[ip] >> 4 == 4 {
        put(&mut piece, ip + 4, &(id as u16).to_be_bytes());
        put(&mut piece, ip + 6, &((part.start as u16 / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
        piece.extend(&frame[l4..][part]);
        let total = (piece.len() - ip) as u16;
        put(&mut piece, ip + 2, &total.to_be_bytes());
        put(&mut piece, ip + 10, &[0, 0]);
        let sum = checksum::internet(&piece[ip..l4]);
        put(&mut piece, ip + 10, &sum.to_be_bytes());
    } else {
        // All of a chain is in front of the fragment header; only a plain header is made use of here.
        let kind = std::mem::replace(&mut piece[ip + 6], FRAGMENT);
        piece.truncate(ip + 40);
        piece.extend([kind, 0]);
        piece.extend((part.start as u16 | u16::from(more)).to_be_bytes());
        piece.extend(id.to_be_bytes());
        piece.extend(&frame[l4..][part]);
        let payload = (piece.len() - ip - 40) as u16;
        put(&mut piece, ip + 4, &payload.to_be_bytes());
    }
    piece
}

/// One more tag on the outside, of VLAN 0 or another.
fn push_tag(rng: &mut Rng, frame: &mut Vec<u8>) {
    let kind = rng.choice([VLAN, VLAN, SERVICE_VLAN, OLD_VLAN]).unwrap_or(VLAN).to_be_bytes();
    let number = rng.choice([0, 0, 0, 1, 5, 0xfff, 0x7000]).unwrap_or(0_u16).to_be_bytes();
    let tag = [kind, number].concat();
    frame.splice(12..12, tag);
}

fn pop_tag(frame: &mut Vec<u8>) {
    if matches!(frame.get(12..14), Some([0x81 | 0x91, 0] | [0x88, 0xa8])) && frame.len() >= 18 {
        frame.drain(12..16);
    }
}

/// One more IPv6 extension header behind the fixed one, or an authentication header of IPv4; its length is
/// right or nearly so.
fn insert_extension(rng: &mut Rng, frame: &mut Vec<u8>) {
    let ip = network(frame);
    let (field, at, kinds): (usize, usize, &[u8]) = match frame.get(ip).map(|octet| octet >> 4) {
        Some(6) => (ip + 6, ip + 40, &[0, 43, 44, 51, 60, 135, 139, 140]),
        Some(4) => (ip + 9, ip + usize::from(frame[ip] & 15) * 4, &[51]),
        _ => return,
    };
    if frame.len() < at || frame.len() <= field {
        return;
    }
    let kind = *rng.choice(kinds).unwrap_or(&60);
    let units = rng.u8(..3);
    let length = match kind {
        44 => 8,
        51 => (usize::from(units) + 3) * 4,
        _ => (usize::from(units) + 1) * 8,
    };
    let mut header = vec![0; length];
    header[0] = frame[field];
    header[1] = match kind {
        44 => 0,
        51 => units + 1,
        _ => units,
    };
    if rng.u8(..8) == 0 {
        header[1] = rng.u8(..);
    }
    if kind == 44 && rng.bool() {
        header[3] = rng.choice([1, 8, 9, 0x18]).unwrap_or(0);
    }
    frame[field] = kind;
    frame.splice(at..at, header);
}

#[cfg(test)]
mod tests {
    use super::super::reading;
    use super::*;
    use crate::packet::{CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, SYN};

    /// Which octets behind the IP header a fragment has, and these.
    fn part(piece: &[u8]) -> (Range<usize>, &[u8]) {
        let (field, body) = if piece[14] >> 4 == 4 { (20, 34) } else { (56, 62) };
        let word = usize::from(u16::from_be_bytes([piece[field], piece[field + 1]]));
        let start = if body == 34 { (word & 0x1fff) * 8 } else { word & !7 };
        (start..start + piece.len() - body, &piece[body..])
    }

    /// A segment and a datagram of each family, with so many octets of data.
    fn with_data(octets: usize) -> Vec<Vec<u8>> {
        let data = vec![7; octets];
        let bases = [PacketBuilder::between(CLIENT_V4, SERVER_V4), PacketBuilder::between(CLIENT_V6, SERVER_V6)];
        let both = |base: PacketBuilder| [base.clone().tcp(1, 2222, SYN), base.udp(1, 51820)];
        bases.into_iter().flat_map(both).map(|packet| packet.payload(&data).build()).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_frames() {
        let (mut one, mut two) = (Mutator::new(7), Mutator::new(7));
        assert!((0..500).all(|_| one.frame() == two.frame()));
    }

    #[test]
    fn a_fair_part_is_still_readable_and_a_fair_part_is_not() {
        let mut mutator = Mutator::new(1);
        let frames: Vec<_> = (0..10_000).map(|_| mutator.frame()).collect();
        let read: Vec<_> = frames.iter().filter_map(|frame| reading::read(frame)).collect();
        let (sound, opens) =
            (read.iter().filter(|one| one.is_sound).count(), read.iter().filter(|one| one.may_open()).count());
        assert!((3000..9500).contains(&read.len()), "{} are read", read.len());
        assert!(sound > 2000 && opens > 2000, "{sound} are sound, {opens} open");
    }

    #[test]
    fn fragments_hold_all_of_the_frame_once() {
        let mut mutator = Mutator::new(3);
        let (mut sizes, mut ragged) = (std::collections::BTreeSet::new(), 0);
        for round in 0..400 {
            for frame in with_data(40 + round % 100) {
                let l4 = transport(&frame).unwrap();
                let pieces = mutator.fragments(&frame);
                assert!(pieces.len() > 1);
                assert_eq!(pieces.iter().filter(|piece| reading::read(piece).is_some()).count(), 1);
                let mut parts: Vec<_> = pieces.iter().map(|piece| part(piece)).collect();
                parts.sort_by_key(|(range, _)| range.start);
                assert_eq!(parts.iter().map(|(_, octets)| *octets).collect::<Vec<_>>().concat(), frame[l4..]);
                assert!(parts.windows(2).all(|two| two[0].0.end == two[1].0.start), "a hole, or an overlap");
                let (last, others) = parts.split_last().unwrap();
                assert!(others.iter().all(|(_, octets)| octets.len().is_multiple_of(8)));
                sizes.extend(others.iter().map(|(_, octets)| octets.len()));
                ragged += usize::from(!last.1.len().is_multiple_of(8));
            }
        }
        assert!((1..=16).all(|units| sizes.contains(&(units * 8))), "{sizes:?}");
        assert!(ragged > 100, "{ragged}");
    }

    #[test]
    fn fragments_overlap_before_and_behind_and_differ_at_the_beginning() {
        let mut mutator = Mutator::new(4);
        let (mut overlaps, mut at_first, mut two_firsts) = (std::collections::BTreeSet::new(), 0, 0);
        for round in 0..400 {
            for frame in with_data(40 + round % 100) {
                let pieces = mutator.overlapping_fragments(&frame);
                let parts: Vec<_> = pieces.iter().map(|piece| part(piece)).collect();
                let mut overlap = 0;
                for (index, (one, octets)) in parts.iter().enumerate() {
                    for (other, others) in &parts[index + 1..] {
                        let common = one.end.min(other.end).saturating_sub(one.start.max(other.start));
                        overlap = overlap.max(common);
                        overlaps.insert(common);
                        let is_first = one.start == 0 || other.start == 0;
                        at_first += usize::from(common > 0 && is_first && one.start != other.start);
                        let differ = common > 0 && octets[..common] != others[..common];
                        two_firsts += usize::from(one.start == 0 && other.start == 0 && differ);
                    }
                }
                assert!(overlap > 0, "no two pieces overlap");
            }
        }
        assert!([8, 16, 24, 40, 64].iter().all(|octets| overlaps.contains(octets)), "{overlaps:?}");
        assert!(at_first > 100 && two_firsts > 100, "{at_first} overlap the first, {two_firsts} have two of them");
    }
}
