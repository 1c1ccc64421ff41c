//! Memory, CPU time and wake-ups: when nothing happens, and in floods.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use knock_common::packet::Transport;

use super::standby::settle;
use crate::bench::peers::Kind;
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
use crate::bench::{ground, server};
use crate::lab::figures::{cpu_time, memory};
use crate::lab::{Barrage, Host, Pause, SSH_PORT, Volley, pause};
use crate::packet::PacketBuilder;

/// What a program took.
struct Took {
    /// Of one CPU.
    percent: f64,
    /// A second.
    wakeups: f64,
}

#[derive(Default)]
struct Figures {
    rss: Rounds,
    cpu: [Rounds; 3],
    wakeups: [Rounds; 3],
    rss_after: Rounds,
}

pub(super) fn measure(plan: Plan<'_>, kinds: &[Kind], sheet: &mut Sheet) -> Result<()> {
    let mut figures = Figures::default();
    let [idle, flooded] = [plan.choose(20, 6), plan.choose(4, 2)].map(|seconds| Duration::from_secs(seconds as u64));
    for _ in 0..plan.choose(5, 2) {
        for &kind in kinds {
            let guard = kind.start()?;
            let process = guard.process().context("it runs a program")?;
            if kind.is_ours() {
                settle(process)?;
            } else {
                pause(Pause::Settle);
            }
            let rss = || Ok::<_, anyhow::Error>(memory(process, "VmRSS")? as f64 / 1024.0);
            kind.record(&mut figures.rss, rss()?);
            let mut took = vec![over(process, idle)?];
            for frames in [syns((SSH_PORT, Transport::Tcp))?, syns(guard.first_knock())?] {
                let barrage = Barrage::start(Host::Client, frames);
                took.push(over(process, flooded)?);
                barrage.stop()?;
            }
            kind.record(&mut figures.rss_after, rss()?);
            for (index, took) in took.iter().enumerate() {
                kind.record(&mut figures.cpu[index], took.percent);
                kind.record(&mut figures.wakeups[index], took.wakeups);
            }
        }
    }
    let Figures { rss, cpu, wakeups, rss_after } = figures;
    sheet.add(rss.figure("daemon.rss_idle", "MiB"));
    sheet.add(rss_after.figure("daemon.rss_flooded", "MiB").note("after both floods"));
    let whens = ["idle", "flood", "flood_knocks"];
    for ((when, cpu), wakeups) in whens.into_iter().zip(cpu).zip(wakeups) {
        sheet.add(cpu.figure(format!("daemon.cpu_{when}"), "%"));
        sheet.add(wakeups.figure(format!("daemon.wakeups_{when}"), "1/s"));
    }
    Ok(())
}

/// What a program takes from now on.
fn over(process: u32, span: Duration) -> Result<Took> {
    let (start, time, switches) = (Instant::now(), cpu_time(process)?, switches(process)?);
    thread::sleep(span);
    let (time, switches) = (cpu_time(process)? - time, self::switches(process)? - switches);
    let seconds = start.elapsed().as_secs_f64();
    Ok(Took { percent: time.as_secs_f64() / seconds * 100.0, wakeups: switches as f64 / seconds })
}

/// How often its threads have waited for something until now.
fn switches(process: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that is ending has no status any more.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.context("no count of switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

/// First packets of as many sources as there are, to one port.
fn syns((port, transport): (u16, Transport)) -> Result<Volley> {
    let server = server::guarded().ip();
    let frames = (0..=u16::MAX).map(|number| {
        let packet = PacketBuilder::between(ground::forged(number), server);
        match transport {
            Transport::Tcp => packet.tcp(40_000, port, crate::packet::SYN).build(),
            Transport::Udp => packet.udp(40_000, port).build(),
        }
    });
    Volley::of(Host::Client, frames)
}
