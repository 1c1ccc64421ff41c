//! Rule 12: what is denied is answered as a closed port would answer it, and what no stack answers is not.

use std::net::{IpAddr, Ipv4Addr};

use knock_common::abi::counter::Counter::RejectLimited;
use knock_common::addr::Addr;
use knock_common::gate::Verdict::{Deny, Reject};
use knock_common::gate::reject::answer::Sender;
use knock_common::gate::reject::cells::cell_of;
use tests::memory::Memory;
use tests::packet::{
    ACK, CLIENT_V4, CLIENT_V6, FIN, HERE, ICMP, ICMP6, PSH, PacketBuilder, RST, SERVER_V4, SERVER_V6, SERVICE_VLAN,
    STRANGER_V4, SYN, TCP, VLAN, checksum,
};

use crate::common::{CONFIG, NOW, SECOND, datagram, host, host_of, syn};

const SENDER: Sender = Sender { ttl: 61, hop_limit: 62, id: 0x4321, key: 0x1234_5677 };
const THERE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// Of every segment of the builder.
const SEQUENCE: u32 = 0x1122_3344;
/// The shortest Ethernet frame, without its check sequence.
const SHORTEST: usize = 60;

/// The host of [`CONFIG`] that answers what it denies.
fn rejecting() -> Memory {
    host_of(&CONFIG.replace("[options]", "[options]\ndeny = \"reject\""))
}

fn pairs() -> [(IpAddr, IpAddr); 2] {
    [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())]
}

/// An answer, taken apart.
struct Answer {
    link: Vec<u8>,
    network: Vec<u8>,
    message: Vec<u8>,
    padding: Vec<u8>,
}

impl Answer {
    /// What answers the packet, which has so many VLAN tags.
    #[track_caller]
    fn to(packet: &PacketBuilder, tags: usize) -> Self {
        Self::from(&rejecting(), packet, SENDER, tags)
    }

    #[track_caller]
    fn from(host: &Memory, packet: &PacketBuilder, sender: Sender, tags: usize) -> Self {
        let (verdict, answer) = host.answer(&packet.build(), sender);
        assert_eq!(verdict, Reject, "{packet:?}");
        let mut link = answer.expect("what is rejected is answered");
        let at = 14 + 4 * tags;
        let v4 = link[at] >> 4 == 4;
        let field = if v4 { at + 2 } else { at + 4 };
        let length = usize::from(u16::from_be_bytes([link[field], link[field + 1]]));
        let padding = link.split_off(at + length + if v4 { 0 } else { 40 });
        let message = link.split_off(at + if v4 { 20 } else { 40 });
        let network = link.split_off(at);
        Self { link, network, message, padding }
    }

    /// It goes back with every sum right, and shows nothing behind its end.
    #[track_caller]
    fn goes_back(&self, client: IpAddr, server: IpAddr, protocol: u8) {
        assert_eq!(self.link[..6], THERE);
        assert_eq!(self.link[6..12], HERE);
        match (client, server) {
            (IpAddr::V4(client), IpAddr::V4(server)) => {
                assert_eq!((self.network[0], self.network[8], self.network[9]), (0x45, SENDER.ttl, protocol));
                assert_eq!(self.network[12..], [server.octets(), client.octets()].concat());
                assert_eq!(checksum::internet(&self.network), 0);
            }
            (IpAddr::V6(client), IpAddr::V6(server)) => {
                assert_eq!((self.network[6], self.network[7]), (protocol, SENDER.hop_limit));
                assert_eq!(self.network[8..], [server.octets(), client.octets()].concat());
            }
            _ => panic!("{client} and {server} are of two families"),
        }
        let sum = match protocol {
            ICMP => checksum::internet(&self.message),
            _ => checksum::transport(server, client, protocol, &self.message),
        };
        assert_eq!(sum, 0);
        assert!(self.padding.iter().all(|octet| *octet == 0), "{:02x?}", self.padding);
    }

    fn len(&self) -> usize {
        self.link.len() + self.network.len() + self.message.len() + self.padding.len()
    }

    fn class(&self) -> u8 {
        let [first, second, ..] = self.network[..] else { panic!("no header") };
        if first >> 4 == 4 { second } else { first << 4 | second >> 4 }
    }

    fn label(&self) -> u32 {
        u32::from_be_bytes([0, self.network[1] & 0x0f, self.network[2], self.network[3]])
    }
}

fn tagged(packet: &PacketBuilder, tags: usize) -> PacketBuilder {
    packet.clone().vlans(&[SERVICE_VLAN, VLAN][2 - tags..])
}

#[test]
fn a_denied_segment_is_answered_by_a_reset() {
    let data: &[u8] = b"octets that nobody else is to see";
    for (client, server) in pairs() {
        for (flags, payload, acknowledged) in
            [(SYN, &[][..], 1), (SYN, data, 34), (SYN | FIN, &[], 2), (FIN | PSH, data, 34), (0, data, 33), (0, &[], 0)]
        {
            for tags in 0..=2 {
                let packet = PacketBuilder::between(client, server).tcp(40_000, 2222, flags).payload(payload);
                let packet = tagged(&packet.class(0x2b), tags);
                let answer = Answer::to(&packet, tags);
                answer.goes_back(client, server, TCP);
                let mut expected = [2222_u16.to_be_bytes(), 40_000_u16.to_be_bytes()].concat();
                expected.extend([0; 4]);
                expected.extend((SEQUENCE + acknowledged).to_be_bytes());
                expected.extend([0x50, RST | ACK, 0, 0]);
                assert_eq!(answer.message[..16], expected, "{packet:?}");
                assert_eq!(answer.message[18..], [0, 0]);
                assert_eq!(answer.link[12..], packet.build()[12..14 + 4 * tags]);
                assert_eq!(answer.len(), SHORTEST.max(14 + 4 * tags + answer.network.len() + 20));
                // Without its ECN bits.
                assert_eq!(answer.class(), 0x28);
                if client.is_ipv4() {
                    assert_eq!(answer.network[4..8], [0, 0, 0x40, 0]);
                }
            }
        }
        // The answer to a segment with ACK takes its number from there, and acknowledges nothing.
        let probe = Answer::to(&PacketBuilder::between(client, server).tcp(40_000, 2222, ACK), 0);
        probe.goes_back(client, server, TCP);
        assert_eq!(probe.message[4..14], [0, 0, 0, 0, 0, 0, 0, 0, 0x50, RST]);
    }
}

#[test]
fn a_denied_datagram_is_answered_by_an_error_that_quotes_it() {
    for (client, server) in pairs() {
        let (protocol, kind, room) =
            if client.is_ipv4() { (ICMP, [3, 3], 576 - 28) } else { (ICMP6, [1, 4], 1280 - 48) };
        for length in [0, 1, 77, 1300] {
            for tags in 0..=2 {
                let packet = tagged(&datagram(client, server, 51820).payload(&vec![5; length]).class(0x2b), tags);
                let answer = Answer::to(&packet, tags);
                answer.goes_back(client, server, protocol);
                let frame = packet.build();
                let asked = &frame[14 + 4 * tags..];
                assert_eq!(answer.message[..2], kind);
                assert_eq!(answer.message[4..8], [0; 4]);
                assert_eq!(answer.message[8..], asked[..asked.len().min(room)]);
                assert_eq!(answer.link[12..], frame[12..14 + 4 * tags]);
                if client.is_ipv4() {
                    // The precedence of network control, and fragments are allowed.
                    assert_eq!(answer.class(), 0xca);
                    assert_eq!(answer.network[4..8], [0x43, 0x21, 0, 0]);
                }
            }
        }
    }
}

#[test]
fn the_answers_of_a_flow_have_one_label() {
    let label = |port, key| {
        let packet = PacketBuilder::between(CLIENT_V6, SERVER_V6).tcp(port, 2222, SYN);
        Answer::from(&rejecting(), &packet, Sender { key, ..SENDER }, 0).label()
    };
    assert_ne!(label(40_000, 1), 0);
    assert_eq!(label(40_000, 1), label(40_000, 1));
    assert_ne!(label(40_000, 1), label(40_001, 1));
    assert_ne!(label(40_000, 1), label(40_000, 2));
}

#[track_caller]
fn is_dropped(host: &Memory, what: &str, frame: &[u8]) {
    assert_eq!(host.answer(frame, SENDER), (Deny, None), "{what}");
}

#[test]
fn what_a_stack_would_not_answer_is_dropped() {
    let rejecting = rejecting();
    for (client, server) in pairs() {
        for (what, packet) in [
            ("a reset", PacketBuilder::between(client, server).tcp(40_000, 2222, RST)),
            ("a SYN that resets", PacketBuilder::between(client, server).tcp(40_000, 2222, SYN | RST)),
            ("a broadcast", syn(client, server, 2222).broadcast()),
            ("a multicast", datagram(client, server, 51820).multicast()),
            ("a fragment", syn(client, server, 2222).first_fragment(16)),
            ("a packet of length 0", syn(client, server, 2222).ip_length(0)),
            ("a wrong checksum", syn(client, server, 2222).wrong_checksum()),
            ("a wrong checksum", datagram(client, server, 51820).wrong_checksum()),
        ] {
            is_dropped(&rejecting, what, &packet.build());
        }
        for octet in 1..6 {
            let mut frame = syn(client, server, 2222).build();
            frame[octet] ^= 0x10;
            is_dropped(&rejecting, "another host's MAC", &frame);
        }
    }
    // Nor for the checksum, which a fragment cannot have right.
    let unverified = host_of(&CONFIG.replace("[options]", "[options]\ndeny = \"reject\"\nverify_checksums = false"));
    Answer::from(&unverified, &syn(CLIENT_V4, SERVER_V4, 2222).wrong_checksum(), SENDER, 0);
    is_dropped(&unverified, "a fragment", &syn(CLIENT_V4, SERVER_V4, 2222).first_fragment(16).build());
    is_dropped(&unverified, "a packet of length 0", &syn(CLIENT_V6, SERVER_V6, 2222).ip_length(0).build());
    is_dropped(&host(), "where it is to be dropped", &syn(CLIENT_V4, SERVER_V4, 2222).build());
}

#[test]
fn a_source_that_is_no_host_has_no_answer() {
    let packet = |source: &str| {
        let source: IpAddr = source.parse().expect("an address");
        syn(source, if source.is_ipv4() { IpAddr::from(SERVER_V4) } else { SERVER_V6.into() }, 2222)
    };
    for source in
        ["0.0.0.0", "0.0.0.7", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::c000:207", "ff02::1"]
    {
        is_dropped(&rejecting(), source, &packet(source).build());
    }
    for source in ["1.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "0:1::1", "fe80::1", "feff::1"] {
        Answer::to(&packet(source), 0);
    }
}

#[test]
fn nobody_uses_up_the_errors_of_another_without_the_key() {
    // Whoever reads this file knows this key: the cells of a load have another.
    let cell = |source: Ipv4Addr| cell_of(&Addr::from(IpAddr::from(source)), [0; 2]);
    let mut sources = (0..=u16::MAX).map(|number| Ipv4Addr::from(0xc633_0000 | u32::from(number)));
    let forged = sources.find(|source| cell(*source) == cell(CLIENT_V4)).expect("eight of them share the cell");
    let host = rejecting();
    let asks = |source: Ipv4Addr| host.answer(&datagram(source, SERVER_V4, 51820).build(), SENDER).0;
    let answered = |source: Ipv4Addr| (0..8).filter(|_| asks(source) == Reject).count();
    assert_eq!((answered(forged), answered(CLIENT_V4)), (6, 6));
}

#[test]
fn a_source_has_six_errors_at_once_and_then_one_a_second() {
    let host = rejecting();
    let asks = |source: std::net::Ipv4Addr| host.answer(&datagram(source, SERVER_V4, 51820).build(), SENDER).0;
    let answered = |times: usize| (0..times).filter(|_| asks(CLIENT_V4) == Reject).count();
    assert_eq!(answered(8), 6);
    assert_eq!(host.counter(RejectLimited), 2);
    assert_eq!(asks(STRANGER_V4), Reject);
    host.set_now(NOW + SECOND - 1);
    assert_eq!(answered(1), 0);
    host.set_now(NOW + SECOND);
    assert_eq!(answered(2), 1);
    host.set_now(NOW + 60 * SECOND);
    assert_eq!(answered(8), 6);
    // Resets have no limit.
    let reset = || host.answer(&syn(CLIENT_V4, SERVER_V4, 2222).build(), SENDER).0;
    assert!((0..20).all(|_| reset() == Reject));
}
