//! Rule 4 in the loaded program, with the constants of the very rules: no sweep of any segments opens a door.

use anyhow::{Result, ensure};
use knock_common::abi::counter::Counter::{AttemptEnded, AttemptStarted, GrantOpened};
use tests::harness::{Test, tests};
use tests::packet::{ACK, CLIENT_V4, PacketBuilder, SERVER_V4};
use tests::sweep::{Order, SEGMENTS, SEQUENCES, Sweep, config};

use super::gate::{Gate, alone};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::sweeps"; no_sweep_of_any_segments_opens_a_door]
}

fn no_sweep_of_any_segments_opens_a_door() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(&config(SEQUENCES[0].0))?;
        for (name, flags) in SEGMENTS {
            let sweep = Sweep::new(CLIENT_V4, SERVER_V4, flags);
            for order in [Order::Up, Order::Down, Order::WithUdp] {
                let _ = gate.0.take_events();
                gate.0.reset();
                for frame in sweep.frames(order) {
                    let _ = gate.0.judge_frame(frame)?;
                }
                let counters = gate.0.all_counters();
                let of = |counter| counters[counter as usize];
                let (begun, ended) = (of(AttemptStarted), of(AttemptEnded));
                ensure!(gate.0.all_grants().is_empty(), "{name} {order:?}: a grant");
                ensure!(begun > 0 && begun == ended, "{name} {order:?}: {begun} begun, {ended} ended");
            }
        }
        // It can be opened, by any segment.
        gate.0.reset();
        for port in [7000, 8000, 9000] {
            let _ = gate.0.judge_frame(&PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, port, ACK).build())?;
        }
        ensure!(gate.0.all_counters()[GrantOpened as usize] == 1, "{:?}", gate.0.all_counters());
        Ok(())
    })
}
