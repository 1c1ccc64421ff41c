//! `reload`: from SIGHUP until the other rules are in force.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::standby::settle;
use crate::bench::peers::{Kind, Own};
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
use crate::lab::grants::fill;
use crate::lab::{Config, GATE_STANDS};

/// The default of `max_grants`.
const GRANTS: u32 = 65_536;
/// Between two reloads: the program that ran is in standby by then.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn measure(plan: Plan<'_>, ours: &[Kind], sheet: &mut Sheet) -> Result<()> {
    for doors in [1, 64] {
        let mut rounds = Rounds::default();
        for &kind in ours {
            let own = Own::start(kind, &config(doors, 0))?;
            settle(own.daemon.id())?;
            reloads(kind, &own, plan.rounds(), &mut rounds, |round| config(doors, round))?;
        }
        sheet.add(rounds.figure(format!("reload.doors_{doors}"), "ms"));
    }
    let (mut full, mut carried) = (Rounds::default(), Rounds::default());
    let larger = |round: u32| config(1, 0).option("max_grants", &(GRANTS + round).to_string());
    for &kind in ours {
        let own = Own::start(kind, &config(1, 0))?;
        settle(own.daemon.id())?;
        match fill("ssh2", 0..GRANTS, 3600) {
            Err(error) if kind == Kind::Before => {
                sheet.cannot_compare(format!("reload.grants_{GRANTS}*"), format!("{error:#}"));
                continue;
            }
            filled => filled?,
        }
        reloads(kind, &own, plan.rounds(), &mut full, |round| config(1, round))?;
        reloads(kind, &own, plan.choose(7, 3), &mut carried, larger)?;
    }
    sheet.add(full.figure(format!("reload.grants_{GRANTS}"), "ms"));
    let note = "to a larger table, which takes another program and a copy of all grants";
    sheet.add(carried.figure(format!("reload.grants_{GRANTS}_carried"), "ms").note(note));
    Ok(())
}

/// Puts other rules in force again and again, and notes the milliseconds that each took.
fn reloads(kind: Kind, own: &Own, times: usize, rounds: &mut Rounds, config: impl Fn(u32) -> Config) -> Result<()> {
    for round in 1..=u32::try_from(times)? {
        config(round).write("gate.toml")?;
        thread::sleep(PAUSE);
        let (mark, start) = (own.daemon.mark(), Instant::now());
        own.daemon.hang_up()?;
        own.daemon.wait_after(mark, GATE_STANDS)?;
        kind.record(rounds, start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// So many doors with a sequence each; `number` makes it another config.
fn config(doors: u16, number: u32) -> Config {
    let lab = Config::lab().0;
    let head = lab.split("[doors.").next().expect("there is a first part");
    let mut text = head.to_owned();
    for door in 0..doors {
        let ports = [0, 1, 2].map(|step| 10_000 + 3 * door + step);
        // The first is the door by which grants are filled in.
        let name = if door == 0 { "opencloseSSH".to_owned() } else { format!("door{door}") };
        let sequence = format!("[\"{}/tcp\", \"{}/udp\", \"{}/tcp\"]", ports[0], ports[1], ports[2]);
        write!(
            text,
            "[doors.{name}]\nservice = \"ssh2\"\nsequence = {sequence}\nseq_timeout = \"10s\"\ncmd_timeout = \"{}s\"\n",
            60 + number
        )
        .expect("a string takes everything");
    }
    Config(text)
}
