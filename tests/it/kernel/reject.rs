//! Rule 12: the answer that the kernel program writes is that of the host build, of every frame that is
//! answered.

use anyhow::Result;
use knock_common::gate::Verdict::{self, Deny, Reject};
use knock_common::gate::reject::answer::Sender;
use tests::harness::{Test, tests};
use tests::kernel::{Run, XDP_DROP, XDP_TX};
use tests::memory::Memory;
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{FIN, PSH, RST, SERVICE_VLAN, SYN, VLAN};
use tests::tables::Tables;

use super::gate::{CONFIG, Gate, NOW, alone, datagram, pairs, syn};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::reject"; the_kernel_writes_the_answer_of_the_host_build, what_pads_a_frame_is_no_part_of_an_answer]
}

/// As the tests load the program. The identification is any number.
const SENDER: Sender = Sender { ttl: 64, hop_limit: 64, id: 0, key: 0x1234_5677 };

fn the_kernel_writes_the_answer_of_the_host_build() -> Result<()> {
    alone(|| {
        let config = CONFIG.replace("[options]", "[options]\ndeny = \"reject\"");
        let mut gate = Gate::of(&config)?;
        for (client, server) in pairs() {
            let segment = |flags| tests::packet::PacketBuilder::between(client, server).tcp(40_000, 2222, flags);
            let far = Extension::generic(DESTINATION, 2);
            let header = |packet: tests::packet::PacketBuilder| match client.is_ipv6() {
                true => packet.extension(far.clone()),
                false => packet.options(&[1; 12]),
            };
            let frames = [
                (syn(client, server, 2222), Reject),
                (syn(client, server, 2222).vlan(VLAN), Reject),
                (syn(client, server, 2222).vlan(SERVICE_VLAN).vlan(VLAN), Reject),
                (header(syn(client, server, 2222)).vlan(VLAN), Reject),
                (syn(client, server, 2222).payload(&[9; 333]).class(0x2b).padded(500), Reject),
                (segment(0), Reject),
                (segment(FIN | PSH).payload(b"x"), Reject),
                (segment(SYN | RST), Deny),
                (syn(client, server, 2222).broadcast(), Deny),
                (syn(client, server, 2222).wrong_checksum(), Deny),
                (syn(client, server, 2222).first_fragment(16), Deny),
                (datagram(client, server, 51820), Reject),
                (datagram(client, server, 51820).vlan(VLAN).vlan(VLAN), Reject),
                (header(datagram(client, server, 51820)).payload(&[3; 77]), Reject),
                (datagram(client, server, 51820).payload(&[5; 1300]).vlan(VLAN), Reject),
                (datagram(client, server, 51820).wrong_checksum(), Deny),
            ];
            for (number, (packet, expected)) in frames.into_iter().enumerate() {
                gate.0.reset();
                let frame = packet.build();
                let (verdict, answer) = on_host(&config, &frame);
                assert_eq!(verdict, expected, "frame {number} from {client}");
                let (action, after) = in_kernel(&gate, &frame)?;
                let Some(answer) = answer else {
                    assert_eq!(action, XDP_DROP, "frame {number} from {client}");
                    continue;
                };
                assert_eq!(action, XDP_TX, "frame {number} from {client}");
                assert_eq!(answer, of_our_identification(after, &answer), "frame {number} from {client}");
            }
        }
        Ok(())
    })
}

/// And where it takes the frame to a second buffer, there is none.
fn what_pads_a_frame_is_no_part_of_an_answer() -> Result<()> {
    alone(|| {
        let config = CONFIG.replace("[options]", "[options]\ndeny = \"reject\"");
        let mut gate = Gate::of(&config)?;
        for (client, server) in pairs() {
            for packet in [syn(client, server, 2222), datagram(client, server, 51820)] {
                let packet = packet.build();
                for padding in [1, 2, 6, 13, 40] {
                    let frame = [&packet[..], &vec![0xba; padding]].concat();
                    let answer = on_host(&config, &frame).1.expect("it is answered");
                    let what = format!("{} octets padded by {padding}", packet.len());
                    for linear in packet.len()..frame.len() {
                        // Or it would be one ICMP error too many.
                        gate.0.reset();
                        let ran = Run::new(&frame).split_at(linear).on(gate.0.fd())?;
                        assert_eq!(ran.action, XDP_DROP, "{what}, {linear} in the first buffer");
                    }
                    gate.0.reset();
                    let (action, after) = in_kernel(&gate, &frame)?;
                    assert_eq!(action, XDP_TX, "{what}");
                    assert_eq!(answer, of_our_identification(after, &answer), "{what}");
                }
            }
        }
        Ok(())
    })
}

/// The verdict of the host build, and its answer.
fn on_host(config: &str, frame: &[u8]) -> (Verdict, Option<Vec<u8>>) {
    let memory = Memory::new(Tables::from_toml(config));
    memory.set_now(NOW);
    memory.answer(frame, SENDER)
}

/// What the program does with a frame, and what it makes of it.
fn in_kernel(gate: &Gate, frame: &[u8]) -> Result<(u32, Vec<u8>)> {
    let mut after = vec![0; 4096];
    let ran = Run::new(frame).copying_to(&mut after).on(gate.0.fd())?;
    after.truncate(ran.length);
    Ok((ran.action, after))
}

/// The answer of the kernel with the identification of the other, which is random, and the checksum that goes with it.
fn of_our_identification(mut answer: Vec<u8>, ours: &[u8]) -> Vec<u8> {
    let packet = packet_of(&answer);
    if packet[0] >> 4 == 4 && packet[9] == 1 && answer.len() == ours.len() {
        let ip = answer.len() - packet.len();
        for at in [ip + 4, ip + 5, ip + 10, ip + 11] {
            answer[at] = ours[at];
        }
    }
    answer
}

/// What lies behind the link header.
fn packet_of(frame: &[u8]) -> &[u8] {
    let mut at = 12;
    while [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]].contains(&[frame[at], frame[at + 1]]) {
        at += 4;
    }
    &frame[at + 2..]
}
