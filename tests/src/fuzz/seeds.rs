//! Frames to begin with: every way in which a frame can carry something to a port, and all that ever
//! broke something.

use std::env;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::edit::readdress;
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
    // Beside them may be files that are text as it is.
    paths.retain(|path| path.extension().is_some_and(|end| end == "hex"));
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

/// All frames that a host can send, as if between these: of every shape, with v4-mapped addresses, and the cases.
#[must_use]
pub fn frames_between(pairs: Pairs) -> Vec<Vec<u8>> {
    let made = packets_between(pairs).into_iter().chain(mapped_between(pairs)).map(|packet| packet.build());
    made.chain(cases_between(pairs)).collect()
}

/// All cases of frames, as if between these hosts and not between the client and the server.
#[must_use]
pub fn cases_between([(v4, to_v4), (v6, to_v6)]: Pairs) -> Vec<Vec<u8>> {
    let plain = [(CLIENT_V4.into(), v4), (SERVER_V4.into(), to_v4), (CLIENT_V6.into(), v6), (SERVER_V6.into(), to_v6)];
    let mapped = plain.map(|(from, to)| (mapped(from), mapped(to)));
    let moves = [plain, mapped].concat();
    let readdressed = |mut frame: Vec<u8>| {
        readdress(&mut frame, &moves);
        frame
    };
    cases("frames").into_iter().map(|case| readdressed(case.octets)).collect()
}

/// IPv6 packets with the v4-mapped address of one host or both.
#[must_use]
pub fn mapped_between([(v4, to_v4), (v6, to_v6)]: Pairs) -> Vec<PacketBuilder> {
    let ends = [(mapped(v4), mapped(to_v4)), (mapped(v4), to_v6), (v6, mapped(to_v4))];
    let packets = |(from, to): (IpAddr, IpAddr)| {
        let base = PacketBuilder::between(from, to);
        let segments = [SYN, ACK, 0].map(|flags| base.clone().tcp(40_000, 2222, flags));
        segments.into_iter().chain([base.udp(40_000, 51820).payload(b"knock")]).collect::<Vec<_>>()
    };
    ends.into_iter().flat_map(packets).collect()
}

/// The v4-mapped address of an IPv4 host; of another, its own.
fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(_) => address,
    }
}

/// Packets of every shape, from the client that knocks.
#[must_use]
pub fn packets() -> Vec<PacketBuilder> {
    let mut packets = packets_between([(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())]);
    let (client, server) = (mapped(CLIENT_V4.into()), mapped(SERVER_V4.into()));
    packets.push(PacketBuilder::between(client, server).tcp(1, 2222, SYN));
    packets.push(PacketBuilder::between(client, SERVER_V6).tcp(1, 2222, ACK));
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
    use crate::fuzz::reading;
    use crate::packet::STRANGER_V6;

    #[test]
    fn a_case_is_digits_and_remarks() {
        assert_eq!(parse("# what\n00 ff # here\n1234\n"), Some(vec![0, 255, 0x12, 0x34]));
        assert_eq!(parse("0"), None);
        assert_eq!(parse("zz"), None);
    }

    #[test]
    fn cases_are_those_of_other_hosts_and_nothing_else_is_changed() {
        let strangers = [(STRANGER_V4.into(), SERVER_V4.into()), (STRANGER_V6.into(), SERVER_V6.into())];
        let ours = [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())];
        let (old, new) = (cases("frames"), cases_between(strangers));
        assert_eq!(old.len(), new.len());
        assert_eq!(cases_between(ours), old.iter().map(|case| case.octets.clone()).collect::<Vec<_>>());
        let mut changed = 0;
        for (case, new) in old.iter().zip(&new) {
            // An address, and two checksums at most.
            let octets = case.octets.iter().zip(new).filter(|(old, new)| old != new).count();
            assert!(octets <= 16 + 4, "{}: {octets} octets", case.name);
            changed += usize::from(octets > 0);
            let (Some(old), Some(new)) = (reading::read(&case.octets), reading::read(new)) else { continue };
            assert_eq!(old.source != new.source, octets > 0, "{}", case.name);
            assert_eq!(reading::Segment { source: old.source, ..new }, old, "{}", case.name);
        }
        // One comes from an address of its own.
        assert!(changed + 1 >= old.len(), "{changed} of {}", old.len());
    }

    #[test]
    fn every_shape_is_there_in_both_families() {
        assert!(frames().len() > 120, "{}", frames().len());
    }
}
