//! The programs for interfaces without link headers: they judge as those for Ethernet do.

use anyhow::Result;
use knock_common::abi::counter::Counter::{DenyMalformed, DenyNew, GrantOpened, KnockPacket, PassGranted};
use knock_common::abi::layout::name::{PROGRAM_RAW, PROGRAM_RAW_LINEAR};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::harness::{Test, tests};
use tests::kernel::{Kernel, LEAST, Room};
use tests::packet::PacketBuilder;
use tests::tables::Tables;

use super::buffers::{outcome, packets};
use super::gate::{CONFIG, Gate, NOW, alone, pairs, syn};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::raw";
        what_begins_with_the_ip_header_is_judged_like_the_whole_frame,
        what_lies_across_buffers_is_judged_too,
        a_knock_without_a_link_header_opens,
        what_is_not_ip_is_denied,
    ]
}

/// Octets of an Ethernet header.
const HEADER: usize = 14;

fn raw(program: &'static str) -> Result<Gate> {
    let mut kernel = Kernel::load_as(program, &Tables::from_toml(CONFIG), Room::default())?;
    kernel.set_now(NOW);
    kernel.set_tokens(1 << 20);
    Ok(Gate(kernel))
}

/// Frames without VLAN tags, which there are none of without a link header.
fn frames() -> Vec<Vec<u8>> {
    packets().iter().map(PacketBuilder::build).filter(|frame| matches!(frame[12], 0x08 | 0x86)).collect()
}

fn what_begins_with_the_ip_header_is_judged_like_the_whole_frame() -> Result<()> {
    alone(|| {
        let ethernet = Gate::of(CONFIG)?;
        for program in [PROGRAM_RAW, PROGRAM_RAW_LINEAR] {
            let raw = raw(program)?;
            for frame in frames() {
                for end in HEADER + LEAST..=frame.len() {
                    let expected = outcome(&ethernet, &frame[..end], None)?;
                    assert_eq!(
                        outcome(&raw, &frame[HEADER..end], None)?,
                        expected,
                        "{program}: {:02x?}",
                        &frame[..end]
                    );
                }
            }
        }
        Ok(())
    })
}

fn what_lies_across_buffers_is_judged_too() -> Result<()> {
    alone(|| {
        let raw = raw(PROGRAM_RAW)?;
        for frame in frames() {
            let frame = &frame[HEADER..];
            let whole = outcome(&raw, frame, None)?;
            for linear in LEAST..frame.len() {
                assert_eq!(outcome(&raw, frame, Some(linear))?, whole, "{linear} octets of {frame:02x?}");
            }
        }
        Ok(())
    })
}

fn a_knock_without_a_link_header_opens() -> Result<()> {
    alone(|| {
        for program in [PROGRAM_RAW, PROGRAM_RAW_LINEAR] {
            let mut gate = raw(program)?;
            for (client, server) in pairs() {
                let frame = |port| syn(client, server, port).build().split_off(HEADER);
                gate.judges("before", &frame(2222), Deny, &[DenyNew]);
                gate.judges("the knock", &frame(6000), Pass, &[KnockPacket, GrantOpened]);
                gate.judges("behind it", &frame(2222), Pass, &[PassGranted]);
            }
        }
        Ok(())
    })
}

fn what_is_not_ip_is_denied() -> Result<()> {
    alone(|| {
        for program in [PROGRAM_RAW, PROGRAM_RAW_LINEAR] {
            let mut gate = raw(program)?;
            let (client, server) = pairs()[0];
            // An Ethernet header, or an MPLS label, before a packet to the protected port.
            let frame = syn(client, server, 2222).build();
            gate.judges("with a link header", &frame, Deny, &[DenyMalformed]);
            let label = [&[0x00, 0x01, 0x11, 0x40], &frame[HEADER..]].concat();
            gate.judges("behind a label", &label, Deny, &[DenyMalformed]);
            gate.judges("nothing that is known", &[0xff; 60], Deny, &[DenyMalformed]);
        }
        Ok(())
    })
}
