//! One-time sequences: the kernel itself lets each be used once.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use anyhow::Result;
use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptStarted, GrantClosed, GrantOpened, GrantSpent, KnockPacket,
};
use knock_common::abi::event::Kind;
use knock_common::abi::layout::MAX_USED;
use knock_common::addr::Addr;
use knock_common::gate::Verdict::{Deny, Pass};
use tests::harness::{Test, tests};
use tests::kernel::{Run, XDP_PASS, stay_on_cpu};
use tests::lab::sandbox;
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, STRANGER_V4};

use super::gate::{Gate, alone, datagram, syn};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::once";
        a_sequence_is_good_for_one_time_over_both_families,
        the_same_ports_for_another_door_are_not_used_up,
        a_closing_door_closes_once,
        of_all_cpus_at_once_one_gets_in,
        without_room_for_the_note_nobody_gets_in,
    ]
}

/// Two doors with one and the same sequence each in a file, and a third with one step.
fn gate() -> Result<Gate> {
    let mut doors = String::new();
    for (name, keys, text) in [
        ("open", "cmd_timeout = \"60s\"", "7000/tcp, 8000/udp\n"),
        ("other", "target = \"192.0.2.99\"", "7000/tcp, 8000/udp\n"),
        ("single", "cmd_timeout = \"60s\"", "6000\n"),
        ("shut", "action = \"close\"", "6100\n"),
    ] {
        let path = Path::new(sandbox::DIR).join(format!("{name}.once"));
        fs::write(&path, text)?;
        doors += &format!("[doors.{name}]\nservice = \"ssh2\"\none_time_sequences = {path:?}\n{keys}\n");
    }
    Gate::of(&format!("[options]\ninterfaces = [\"eth0\"]\n[services.ssh2]\nports = [\"2222/tcp\"]\n{doors}"))
}

fn a_sequence_is_good_for_one_time_over_both_families() -> Result<()> {
    alone(|| {
        let mut gate = gate()?;
        let start = &[KnockPacket, AttemptStarted];
        gate.judges("v4, step 1", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, start);
        gate.judges("v6, step 1", &syn(CLIENT_V6, SERVER_V6, 7000).build(), Pass, start);
        let last = &[KnockPacket, AttemptAdvanced, GrantOpened];
        gate.judges("v4, step 2", &datagram(CLIENT_V4, SERVER_V4, 8000).build(), Pass, last);
        let last = &[KnockPacket, AttemptAdvanced, GrantSpent];
        gate.judges("v6, step 2", &datagram(CLIENT_V6, SERVER_V6, 8000).build(), Pass, last);
        gate.judges(
            "v6, outside",
            &syn(CLIENT_V6, SERVER_V6, 2222).build(),
            Deny,
            &[knock_common::abi::counter::Counter::DenyNew],
        );
        // Not even the one who used it extends by it.
        gate.judges("again, step 1", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, start);
        gate.judges("again, step 2", &datagram(CLIENT_V4, SERVER_V4, 8000).build(), Pass, last);
        assert_eq!(gate.0.all_grants().len(), 1);
        let used: Vec<_> = gate.0.all_used().into_values().collect();
        assert_eq!(used.iter().map(|used| used.source).collect::<Vec<_>>(), [Addr::from(CLIENT_V4)]);
        let kinds: Vec<u8> = gate.0.take_events().iter().map(|event| event.kind).filter(|kind| *kind != 1).collect();
        assert_eq!(kinds, [Kind::Opened as u8, Kind::Spent as u8, Kind::Denied as u8, Kind::Spent as u8]);
        Ok(())
    })
}

fn the_same_ports_for_another_door_are_not_used_up() -> Result<()> {
    alone(|| {
        let gate = gate()?;
        let keys: Vec<u64> = gate.0.doors().iter().map(|door| door.once).collect();
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| *key != 0));
        Ok(())
    })
}

fn a_closing_door_closes_once() -> Result<()> {
    alone(|| {
        let mut gate = gate()?;
        gate.judges("closed", &syn(CLIENT_V4, SERVER_V4, 6100).build(), Pass, &[KnockPacket, GrantClosed]);
        gate.judges("opened", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
        gate.judges("not closed", &syn(CLIENT_V4, SERVER_V4, 6100).build(), Pass, &[KnockPacket, GrantSpent]);
        assert_eq!(gate.0.all_grants().len(), 1);
        Ok(())
    })
}

fn of_all_cpus_at_once_one_gets_in() -> Result<()> {
    alone(|| {
        let mut gate = gate()?;
        let cpus = thread::available_parallelism()?.get().max(2);
        for round in 1..=200 {
            gate.0.forget();
            let together = Barrier::new(cpus);
            thread::scope(|scope| {
                for cpu in 0..cpus {
                    let (gate, together) = (&gate, &together);
                    scope.spawn(move || {
                        let _ = stay_on_cpu(cpu % thread::available_parallelism().map_or(1, std::num::NonZero::get));
                        let from = if cpu == 0 { CLIENT_V4 } else { STRANGER_V4 };
                        let frame = syn(from, SERVER_V4, 6000).build();
                        together.wait();
                        let ran = Run::new(&frame).on(gate.0.fd()).expect("the kernel runs it");
                        assert_eq!(ran.action, XDP_PASS);
                    });
                }
            });
            let counters = gate.0.all_counters();
            let used = round * (cpus as u64 - 1);
            assert_eq!((counters[GrantOpened as usize], counters[GrantSpent as usize]), (round, used));
            assert_eq!(gate.0.all_grants().len(), 1);
        }
        Ok(())
    })
}

fn without_room_for_the_note_nobody_gets_in() -> Result<()> {
    alone(|| {
        let mut gate = gate()?;
        gate.0.fill_used(MAX_USED);
        gate.judges("no room", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantSpent]);
        assert!(gate.0.all_grants().is_empty());
        Ok(())
    })
}
