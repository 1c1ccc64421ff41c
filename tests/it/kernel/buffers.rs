//! Frames that a driver hands over in several buffers: whatever lies across them is gated like any
//! other, and never a knock.

use anyhow::Result;
use knock_common::abi::counter::Counter::{AttemptEnded, AttemptStarted, DenyMalformed, DenyNew, KnockPacket};
use knock_common::gate::Verdict::{self, Deny, Pass};
use tests::harness::{Test, tests};
use tests::kernel::LEAST;
use tests::packet::extension::{DESTINATION, HOP_BY_HOP, ROUTING};
use tests::packet::{
    ACK, CLIENT_V4, CLIENT_V6, Extension, ICMP, PacketBuilder, RST, SERVER_V4, SERVER_V6, SYN, VLAN, arp_request,
};

use super::gate::{CONFIG, Gate, alone, datagram, names, syn};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::buffers";
        headers_across_buffers_are_judged_like_others,
        a_frame_larger_than_a_page_is_judged_like_others,
        a_chain_that_is_too_long_to_copy_is_denied,
        what_lies_across_buffers_is_no_knock_and_may_be_a_wrong_one,
    ]
}

/// Packets that must be read to be judged, and whose reading has many ways.
pub fn packets() -> Vec<PacketBuilder> {
    let v4 = || PacketBuilder::between(CLIENT_V4, SERVER_V4);
    let v6 = || PacketBuilder::between(CLIENT_V6, SERVER_V6);
    let flags = [SYN, ACK, RST, 0].into_iter();
    let mut packets: Vec<_> = flags.flat_map(|flags| [v4().tcp(1, 2222, flags), v6().tcp(1, 2222, flags)]).collect();
    packets.extend([
        v4().tcp(1, 80, SYN),
        v6().udp(1, 53),
        v4().udp(1, 51820),
        v6().udp(1, 51820).payload(b"data"),
        v4().vlan(VLAN).tcp(1, 2222, SYN),
        v6().vlans(&[VLAN, VLAN]).tcp(1, 2222, SYN),
        v4().vlans(&[VLAN; 3]).tcp(1, 2222, SYN),
        v4().options(&[1; 40]).tcp(1, 2222, SYN).tcp_options(&[1; 12]),
        v4().extension(Extension::authentication(6)).tcp(1, 2222, SYN),
        v4().tcp(1, 2222, SYN).payload(&[7; 100]),
        v4().tcp(1, 2222, SYN).first_fragment(20),
        v4().tcp(1, 2222, SYN).first_fragment(8),
        v4().tcp(1, 2222, SYN).payload(&[7; 64]).later_fragment(1, false),
        v4().tcp(1, 2222, SYN).payload(&[7; 64]).later_fragment(2, false),
        v6().tcp(1, 2222, SYN).first_fragment(20),
        v6().tcp(1, 2222, SYN).first_fragment(0),
        v6().extension(Extension::generic(HOP_BY_HOP, 1)).extension(Extension::generic(ROUTING, 3)).tcp(1, 2222, SYN),
        v6().extension(Extension::authentication(6)).extension(Extension::generic(DESTINATION, 2)).udp(1, 51820),
        v4().tcp(1, 2222, SYN).ip_length(0),
        v6().tcp(1, 2222, SYN).ip_length(0),
        v4().tcp(1, 2222, SYN).ip_length(41),
        v4().raw(ICMP).payload(&[0; 40]),
    ]);
    packets
}

/// Verdict and counters of a frame that lies in one buffer, or in two.
pub fn outcome(gate: &Gate, frame: &[u8], linear: Option<usize>) -> Result<(Verdict, Vec<&'static str>)> {
    let before = gate.0.all_counters();
    let verdict = match linear {
        Some(linear) => gate.0.judge_split(frame, linear)?,
        None => gate.0.judge_frame(frame)?,
    };
    Ok((verdict, names(&gate.counted_since(&before))))
}

fn headers_across_buffers_are_judged_like_others() -> Result<()> {
    alone(|| {
        let gate = Gate::of(&CONFIG.replace("[options]", "[options]\nlog_denied = false"))?;
        for packet in packets() {
            let frame = packet.build();
            let whole = outcome(&gate, &frame, None)?;
            for linear in LEAST..frame.len() {
                assert_eq!(outcome(&gate, &frame, Some(linear))?, whole, "{linear} octets of {packet:?}");
            }
        }
        let arp = arp_request(CLIENT_V4, SERVER_V4);
        assert_eq!(outcome(&gate, &arp, Some(LEAST))?, (Pass, Vec::new()));
        Ok(())
    })
}

fn a_frame_larger_than_a_page_is_judged_like_others() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(&CONFIG.replace("[options]", "[options]\nlog_denied = false"))?;
        for length in [1400, 3400, 3600, 4096, 8900, 9000, 20_000] {
            let data = vec![7; length];
            let large = |packet: PacketBuilder| packet.payload(&data).build();
            gate.judges("SYN", &large(syn(CLIENT_V4, SERVER_V4, 2222)), Deny, &[DenyNew]);
            gate.judges("SYN", &large(syn(CLIENT_V6, SERVER_V6, 2222)), Deny, &[DenyNew]);
            gate.judges("elsewhere", &large(syn(CLIENT_V4, SERVER_V4, 80)), Pass, &[]);
            gate.judges("elsewhere", &large(datagram(CLIENT_V6, SERVER_V6, 53)), Pass, &[]);
            let short = syn(CLIENT_V4, SERVER_V4, 2222).payload(&data).ip_length(length as u16 + 41).build();
            gate.judges("longer than its frame", &short, Deny, &[DenyMalformed]);
        }
        Ok(())
    })
}

fn a_chain_that_is_too_long_to_copy_is_denied() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(&CONFIG.replace("[options]", "[options]\nlog_denied = false"))?;
        let chain = |units: u16, port: u16| {
            let packet = PacketBuilder::between(CLIENT_V6, SERVER_V6).extension(Extension::generic(DESTINATION, units));
            packet.tcp(1, port, SYN).payload(&[7; 4000]).build()
        };
        // 14 octets of Ethernet, 40 of IPv6, 14 of TCP and 8 for each unit, of 2048.
        gate.judges("just short enough", &chain(247, 2222), Deny, &[DenyNew]);
        gate.judges("just short enough, elsewhere", &chain(247, 80), Pass, &[]);
        gate.judges("too long in the first buffer", &chain(250, 80), Deny, &[DenyMalformed]);
        Ok(())
    })
}

fn what_lies_across_buffers_is_no_knock_and_may_be_a_wrong_one() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        let first = syn(CLIENT_V4, SERVER_V4, 7000).payload(b"data").build();
        for linear in LEAST..first.len() {
            assert_eq!(outcome(&gate, &first, Some(linear))?, (Pass, Vec::new()), "{linear} octets");
        }
        assert!(gate.0.all_attempts().is_empty());
        // All of it in the first buffer is the usual case.
        assert_eq!(outcome(&gate, &first, Some(first.len()))?, (Pass, names(&[KnockPacket, AttemptStarted])));
        for wrong in [datagram(CLIENT_V4, SERVER_V4, 8000), syn(CLIENT_V4, SERVER_V4, 31337)] {
            gate.0.forget();
            gate.judges("step 1", &first, Pass, &[KnockPacket, AttemptStarted]);
            assert_eq!(outcome(&gate, &wrong.build(), Some(30))?, (Pass, names(&[AttemptEnded])));
        }
        for harmless in
            [syn(CLIENT_V4, SERVER_V4, 31337).broadcast(), PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(1, 80, ACK)]
        {
            gate.0.forget();
            gate.judges("step 1", &first, Pass, &[KnockPacket, AttemptStarted]);
            assert_eq!(outcome(&gate, &harmless.build(), Some(30))?, (Pass, Vec::new()));
        }
        Ok(())
    })
}
