//! `reload`: from SIGHUP until the other rules are in force.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::settle;
use crate::bench::peers::Own;
use crate::bench::{Plan, Rounds, Sheet};
use crate::lab::grants::fill;
use crate::lab::{Config, GATE_STANDS};

/// The default of `max_grants`.
const GRANTS: u32 = 65_536;
/// Between two reloads: the program that ran is the spare one by then.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    for doors in [1, 64] {
        let own = Own::start(&config(doors, 0))?;
        settle(own.daemon.id())?;
        let rounds = reloads(&own, plan.rounds(), |round| config(doors, round))?;
        sheet.add(rounds.figure(format!("reload.doors_{doors}"), "ms"));
    }
    let own = Own::start(&config(1, 0))?;
    settle(own.daemon.id())?;
    fill("ssh2", 0..GRANTS, 3600)?;
    let rounds = reloads(&own, plan.rounds(), |round| config(1, round))?;
    sheet.add(rounds.figure(format!("reload.grants_{GRANTS}"), "ms"));
    let larger = |round: u32| config(1, 0).option("max_grants", &(GRANTS + round).to_string());
    let rounds = reloads(&own, plan.choose(7, 3), larger)?;
    let note = "to a larger table, which takes another program and a copy of all grants";
    sheet.add(rounds.figure(format!("reload.grants_{GRANTS}_carried"), "ms").note(note));
    Ok(())
}

/// Puts other rules in force again and again; the milliseconds that each took.
fn reloads(own: &Own, times: usize, config: impl Fn(u32) -> Config) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    for round in 1..=u32::try_from(times)? {
        config(round).write("gate.toml")?;
        thread::sleep(PAUSE);
        let (mark, start) = (own.daemon.mark(), Instant::now());
        own.daemon.hang_up()?;
        own.daemon.wait_after(mark, GATE_STANDS)?;
        rounds.own(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(rounds)
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
