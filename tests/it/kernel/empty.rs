//! Rules 14 and 18: a program that was told nothing passes everything, and no frame is ever changed.

use anyhow::Result;
use fastrand::Rng;
use knock_common::abi::layout::name;
use knock_common::gate::Verdict;
use knock_user::rules::RuleSet;
use tests::harness::{Test, tests};
use tests::history::{Profile, Scenario};
use tests::kernel::{Kernel, Room, Run, XDP_DROP, XDP_PASS};
use tests::packet::{CLIENT_V4, PacketBuilder, SERVER_V4, arp_request, neighbour_solicitation};
use tests::packet::{CLIENT_V6, SERVER_V6};
use tests::tables::Tables;

use super::gate::{CONFIG, Gate, alone, datagram, syn};

const PROGRAMS: [&str; 2] = [name::PROGRAM, name::PROGRAM_LINEAR];

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::empty";
        without_rules_every_packet_passes_and_nothing_is_stored,
        every_port_of_a_gate_without_rules_is_open,
        no_frame_is_changed,
        noise_gets_a_verdict,
    ]
}

/// A config of nothing.
fn nothing() -> Tables {
    let rules = RuleSet::default();
    Tables {
        rules,
        flow_idle: 0,
        stealth: true,
        verify_checksums: true,
        attempt_rate: 0,
        log_denied: true,
        lockout: false,
        reject: false,
        tokens: None,
        observe: false,
        trial_until: 0,
    }
}

fn without_rules_every_packet_passes_and_nothing_is_stored() -> Result<()> {
    alone(|| {
        for program in PROGRAMS {
            let mut kernel = Kernel::load_as(program, &nothing(), Room::default())?;
            kernel.set_tokens(1000);
            for seed in 0..200 {
                let scenario = Scenario::from_seed(seed, Profile::default());
                // What cannot be read is denied, whatever the rules are.
                let legible = |packet: &tests::model::PacketSpec| {
                    packet.tags.is_empty()
                        && !packet.cut
                        && packet.extensions <= 7
                        && packet.fragment == tests::model::Fragment::Whole
                };
                for (now, packet) in scenario.packets.iter().filter(|(_, packet)| legible(packet)) {
                    kernel.set_now(*now);
                    assert_eq!(kernel.judge_frame(&packet.frame())?, Verdict::Pass, "{packet:?}");
                }
            }
            assert_eq!(kernel.all_counters().iter().sum::<u64>(), 0);
            assert!(kernel.all_grants().is_empty() && kernel.all_attempts().is_empty());
            assert!(kernel.take_events().is_empty());
        }
        Ok(())
    })
}

fn every_port_of_a_gate_without_rules_is_open() -> Result<()> {
    alone(|| {
        let kernel = Kernel::load(&nothing(), Room::default())?;
        for port in 0..=u16::MAX {
            assert_eq!(kernel.judge_frame(&syn(CLIENT_V4, SERVER_V4, port).build())?, Verdict::Pass, "{port}/tcp");
            assert_eq!(kernel.judge_frame(&datagram(CLIENT_V6, SERVER_V6, port).build())?, Verdict::Pass, "{port}/udp");
        }
        Ok(())
    })
}

fn no_frame_is_changed() -> Result<()> {
    alone(|| {
        let gate = Gate::of(CONFIG)?;
        let v4 = PacketBuilder::between(CLIENT_V4, SERVER_V4);
        for (what, frame, action) in [
            ("ARP", arp_request(CLIENT_V4, SERVER_V4), XDP_PASS),
            ("neighbour solicitation", neighbour_solicitation(CLIENT_V6), XDP_PASS),
            ("ping", v4.icmp(8, 0).payload(&[7; 64]).build(), XDP_PASS),
            ("knock", syn(CLIENT_V4, SERVER_V4, 7000).padded(60).build(), XDP_PASS),
            ("last knock", syn(CLIENT_V6, SERVER_V6, 6000).build(), XDP_PASS),
            ("granted", syn(CLIENT_V6, SERVER_V6, 2222).build(), XDP_PASS),
            ("denied", syn(CLIENT_V4, SERVER_V4, 2222).build(), XDP_DROP),
            ("elsewhere", datagram(CLIENT_V6, SERVER_V6, 53).build(), XDP_PASS),
        ] {
            let mut after = vec![0; frame.len() + 64];
            let ran = Run::new(&frame).copying_to(&mut after).on(gate.0.fd())?;
            assert_eq!(ran.action, action, "{what}");
            assert_eq!(&after[..ran.length], frame, "{what}");
        }
        Ok(())
    })
}

fn noise_gets_a_verdict() -> Result<()> {
    alone(|| {
        let tables = Tables::from_toml(CONFIG);
        for program in PROGRAMS {
            let kernel = Kernel::load_as(program, &tables, Room::default())?;
            let mut rng = Rng::with_seed(3);
            for _ in 0..100_000 {
                let mut frame: Vec<u8> = (0..rng.usize(14..200)).map(|_| rng.u8(..)).collect();
                let kinds = [[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8]];
                frame[12..14].copy_from_slice(&kinds[rng.usize(..kinds.len())]);
                if frame.len() > 34 {
                    frame[14] = if rng.bool() { 0x45 } else { 0x60 };
                    frame[23] = if rng.bool() { 6 } else { 17 };
                    frame[20] = [6, 17, 0, 43, 44, 51, 60][rng.usize(..7)];
                }
                // An error if it is neither XDP_PASS nor XDP_DROP.
                let _ = kernel.judge_frame(&frame)?;
            }
        }
        Ok(())
    })
}
