//! Frames to begin with: every way in which a frame can carry something to a port, and all that ever
//! broke something.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::packet::extension::{AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, MOBILITY, ROUTING};
use crate::packet::{
    ACK, CLIENT_V4, CLIENT_V6, Extension, FIN, ICMP, ICMP6, OLD_VLAN, PSH, PacketBuilder, RST, SERVER_V4, SERVER_V6,
    SERVICE_VLAN, STRANGER_V4, SYN, TCP, VLAN, arp_request, neighbour_solicitation,
};

/// A case of `tests/cases/`: what it is called, and its octets.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name of its file, without the end.
    pub name: String,
    /// The input.
    pub octets: Vec<u8>,
}

/// The cases of a target, by name. `frames` are frames, for `packet`, `gate` and the kernel.
///
/// # Panics
///
/// If a file cannot be read, or is not hexadecimal digits and remarks behind `#`.
#[must_use]
pub fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let octets = parse(&text).unwrap_or_else(|| panic!("{}: no pairs of hexadecimal digits", path.display()));
        Case { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), octets }
    };
    paths.into_iter().map(case).collect()
}

/// Where `cargo xtask fuzz` wants all that the tests of the host build begin with, one folder for each target.
const CORPUS: &str = "KNOCK_CORPUS";

/// Keeps an input for the fuzzer, if it asks for them.
///
/// # Panics
///
/// If it cannot be written.
pub fn keep(target: &str, octets: &[u8]) {
    let Some(corpus) = env::var_os(CORPUS) else { return };
    let folder = Path::new(&corpus).join(target);
    let name = format!("seed-{:016x}", knock_common::hash::fnv1a_64(octets));
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), octets)).expect("the corpus can be written");
}

/// Octets as pairs of hexadecimal digits; what follows a `#` is a remark.
fn parse(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let digits: Vec<char> = lines.flat_map(str::chars).filter(|digit| !digit.is_whitespace()).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// All frames.
#[must_use]
pub fn frames() -> Vec<Vec<u8>> {
    let made = packets().into_iter().map(|packet| packet.build());
    let foreign = [arp_request(CLIENT_V4, SERVER_V4), neighbour_solicitation(CLIENT_V6)];
    made.chain(foreign).chain(cases("frames").into_iter().map(|case| case.octets)).collect()
}

/// Who sends and who receives, in each family.
pub type Pairs = [(IpAddr, IpAddr); 2];

/// Packets of every shape, from the client that knocks.
#[must_use]
pub fn packets() -> Vec<PacketBuilder> {
    let mut packets = packets_between([(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())]);
    let mapped = |v4: Ipv4Addr| v4.to_ipv6_mapped();
    packets.push(PacketBuilder::between(mapped(CLIENT_V4), mapped(SERVER_V4)).tcp(1, 2222, SYN));
    packets.push(PacketBuilder::between(mapped(CLIENT_V4), SERVER_V6).tcp(1, 2222, ACK));
    packets.push(PacketBuilder::between(STRANGER_V4, SERVER_V4).tcp(1, 2222, SYN));
    packets
}

/// Packets of every shape between these hosts, first IPv4.
#[must_use]
pub fn packets_between([(v4, to_v4), (v6, to_v6)]: Pairs) -> Vec<PacketBuilder> {
    let mut packets = Vec::new();
    for base in [PacketBuilder::between(v4, to_v4), PacketBuilder::between(v6, to_v6)] {
        for flags in [SYN, ACK, ACK | PSH, RST, FIN | ACK, 0, SYN | ACK, SYN | FIN] {
            packets.push(base.clone().tcp(40_000, 2222, flags));
        }
        for port in [7000, 9000, 80] {
            packets.push(base.clone().tcp(40_000, port, SYN));
        }
        for port in [51820, 8000, 53] {
            packets.push(base.clone().udp(40_000, port).payload(b"knock"));
        }
        let syn = || base.clone().tcp(40_000, 2222, SYN).tcp_options(&[2, 4, 5, 0xb4, 4, 2]);
        for tags in [&[VLAN][..], &[SERVICE_VLAN, VLAN], &[VLAN, OLD_VLAN], &[VLAN; 3]] {
            packets.push(syn().vlans(tags));
        }
        for octets in [0, 8, 16, 24] {
            packets.push(syn().payload(&[7; 40]).first_fragment(octets));
        }
        for offset in [1, 2, 3] {
            packets.push(syn().payload(&[7; 40]).later_fragment(offset, offset == 2));
        }
        packets.extend([
            syn().broadcast(),
            syn().multicast(),
            syn().ip_length(0),
            syn().ip_length(41),
            syn().version(5),
            syn().data_offset(4),
            syn().data_offset(15),
            syn().padded(90),
            syn().wrong_checksum(),
            syn().ether_type(0x0800),
            syn().ether_type(0x86dd),
            base.clone().udp(40_000, 51820).udp_length(0),
            base.clone().udp(40_000, 51820).udp_length(900),
            base.clone().udp(40_000, 8000).without_udp_checksum(),
            base.clone().raw(TCP).payload(&[7; 30]),
            base.clone().raw(4).payload(&[0x45; 40]),
            base.clone().raw(50).payload(&[7; 30]),
            base.clone().icmp(8, 0).payload(b"ping"),
            syn().extension(Extension::authentication(6)),
            syn().extension(Extension::authentication(3)).extension(Extension::authentication(4)),
            base.clone().extension(Extension::authentication(257)).tcp(1, 2222, SYN).payload(&[7; 1200]),
        ]);
    }
    let chained = || PacketBuilder::between(v6, to_v6);
    for kind in [HOP_BY_HOP, ROUTING, DESTINATION, MOBILITY] {
        packets.push(chained().extension(Extension::generic(kind, 1)).tcp(40_000, 2222, SYN));
        packets.push(chained().extension(Extension::generic(kind, 32)).udp(40_000, 51820));
    }
    for claim in [0, 1, 31, 255] {
        for kind in [DESTINATION, AUTHENTICATION, FRAGMENT] {
            let header =
                if kind == AUTHENTICATION { Extension::authentication(6) } else { Extension::generic(kind, 2) };
            packets.push(chained().extension(header.claiming(claim)).tcp(40_000, 2222, SYN));
        }
    }
    let chain = |length: usize| {
        (0..length)
            .fold(chained(), |packet, _| packet.extension(Extension::generic(DESTINATION, 1)))
            .tcp(40_000, 2222, SYN)
    };
    packets.extend([8, 9].map(chain));
    packets.push(chained().fragment(0, false).tcp(40_000, 2222, SYN));
    packets.push(chained().extension(Extension::generic(DESTINATION, 1)).fragment(0, true).tcp(40_000, 2222, ACK));
    packets.push(PacketBuilder::between(v4, to_v4).options(&[1; 40]).tcp(1, 2222, SYN));
    packets.push(PacketBuilder::between(v4, to_v4).header_words(4).tcp(1, 2222, SYN));
    packets.push(PacketBuilder::between(v4, to_v4).header_words(15).tcp(1, 2222, SYN));
    packets.push(PacketBuilder::between(v4, to_v4).raw(ICMP).payload(&[0; 40]));
    packets.push(PacketBuilder::between(v6, to_v6).raw(ICMP6).payload(&[0; 40]));
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_digits_and_remarks() {
        assert_eq!(parse("# what\n00 ff # here\n1234\n"), Some(vec![0, 255, 0x12, 0x34]));
        assert_eq!(parse("0"), None);
        assert_eq!(parse("zz"), None);
    }

    #[test]
    fn every_shape_is_there_in_both_families() {
        assert!(frames().len() > 120, "{}", frames().len());
    }
}
