//! Frames of every length, and frames of noise.

use fastrand::Rng;
use knock_common::gate::Verdict;
use tests::packet::extension::{DESTINATION, Extension, HOP_BY_HOP, ROUTING};
use tests::packet::{CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, SYN, VLAN};

use crate::common::{datagram, host, syn};

/// The octets of an Ethernet header. Whatever is shorter carries nothing.
const ETHERNET: usize = 14;

fn protected() -> Vec<PacketBuilder> {
    let v4 = || syn(CLIENT_V4, SERVER_V4, 2222);
    let v6 = || syn(CLIENT_V6, SERVER_V6, 2222);
    vec![
        v4(),
        v6(),
        v4().vlan(VLAN),
        v6().vlans(&[VLAN, VLAN]),
        v4().options(&[1; 40]).tcp_options(&[1; 12]),
        v4().extension(Extension::authentication(6)),
        v4().payload(b"early data"),
        v4().first_fragment(20),
        v6().first_fragment(20),
        v6().extension(Extension::generic(HOP_BY_HOP, 1)).extension(Extension::generic(ROUTING, 3)),
        v6().extension(Extension::authentication(6)).extension(Extension::generic(DESTINATION, 2)),
        datagram(CLIENT_V4, SERVER_V4, 51820),
        datagram(CLIENT_V6, SERVER_V6, 51820),
        v4().ip_length(0),
        v6().ip_length(0),
    ]
}

#[test]
fn a_frame_cut_anywhere_behind_its_type_is_denied() {
    let host = host();
    for builder in protected() {
        let whole = builder.build();
        for length in 0..=whole.len() {
            let expected = if length < ETHERNET { Verdict::Pass } else { Verdict::Deny };
            assert_eq!(host.judge(&whole[..length]), expected, "{length} octets of {builder:?}");
        }
    }
}

#[test]
fn a_packet_cut_anywhere_in_frame_and_length_is_denied() {
    let host = host();
    let v4 = syn(CLIENT_V4, SERVER_V4, 2222).payload(b"data");
    for length in 0..44_u16 {
        let frame = v4.clone().ip_length(length).cut(ETHERNET + usize::from(length)).padded(60).build();
        assert_eq!(host.judge(&frame), Verdict::Deny, "IPv4 of {length} octets");
    }
    let v6 = syn(CLIENT_V6, SERVER_V6, 2222).payload(b"data");
    for length in 0..24_u16 {
        let frame = v6.clone().ip_length(length).cut(ETHERNET + 40 + usize::from(length)).build();
        assert_eq!(host.judge(&frame), Verdict::Deny, "IPv6 of {length} octets");
    }
}

#[test]
fn no_octet_of_a_syn_opens_the_gate_but_those_that_make_it_another_packet() {
    let host = host();
    let whole = syn(CLIENT_V4, SERVER_V4, 2222).build();
    // Fragment offset, protocol, source (there is a trusted one), port.
    let decisive = [20, 21, 23, 29, 36, 37];
    for at in ETHERNET..whole.len() {
        for value in 0..=u8::MAX {
            let mut frame = whole.clone();
            frame[at] = value;
            let verdict = host.judge(&frame);
            assert!(verdict == Verdict::Deny || decisive.contains(&at), "octet {at} = {value:#x}");
        }
    }
}

#[test]
fn noise_is_judged_without_a_panic() {
    let host = host();
    let mut rng = Rng::with_seed(1);
    for _ in 0..100_000 {
        let mut frame: Vec<u8> = (0..rng.usize(..128)).map(|_| rng.u8(..)).collect();
        if let Some(kind) = frame.get_mut(12..14) {
            kind.copy_from_slice(&rng.choice([[8, 0], [0x86, 0xdd], [0x81, 0]]).unwrap_or_default());
        }
        let _ = host.judge(&frame);
    }
}

#[test]
fn frames_with_random_octets_changed_are_judged_without_a_panic() {
    let host = host();
    let mut rng = Rng::with_seed(2);
    let frames: Vec<_> = protected().iter().map(PacketBuilder::build).collect();
    for _ in 0..100_000 {
        let mut frame = frames[rng.usize(..frames.len())].clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..frame.len());
            frame[at] = rng.u8(..);
        }
        let _ = host.judge(&frame);
    }
    let grants = host.grants();
    assert!(grants.is_empty(), "{grants:?}");
    let open = PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, 2222, SYN).build();
    assert_eq!(host.judge(&open), Verdict::Deny);
}
