//! From one version to another with maps of another layout, and back: no unguarded moment, and no grant lost.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, Map, MapData, MapInfo};
use knock_user::kernel::boot_now;
use tests::harness::{Test, tests};
use tests::lab::strace::{Call, Fault, Trace, faulty, steps};
use tests::lab::{
    Background, Config, Family, Flood, GATE_STANDS, Host, Mark, PINS, Probe, Ran, SSH_PORT, Session, TIMEOUT, accepted,
    knockctl_path, sandbox, until,
};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::upgrade";
        grants_and_sessions_go_to_another_layout_and_back,
        an_upgrade_killed_at_any_step_is_brought_to_an_end_or_never_was,
        a_used_sequence_stays_used_in_another_layout,
        pins_of_the_layout_before_are_taken_over,
        last_times_go_over_to_every_layout_and_are_never_half_lost,
    ]
}

const KEPT: &str = "203.0.113.9";

/// A version of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    /// This one.
    This,
    /// One whose grants have a field more.
    Next,
}

impl Version {
    fn path(self) -> Result<PathBuf> {
        let this = knockctl_path()?;
        if self == Self::This {
            return Ok(this);
        }
        let beside = || this.ancestors().map(|dir| dir.join("next/knockctl")).find(|path| path.is_file());
        let path = env::var_os("KNOCKCTL_NEXT").map(PathBuf::from).or_else(beside);
        path.context("no knockctl of another layout: `cargo xtask test` builds it, and names it in KNOCKCTL_NEXT")
    }

    fn command(self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(self.path()?);
        command.args(args);
        Ok(command)
    }

    fn run(self, args: &[&str]) -> Result<Ran> {
        Host::Server.run(&mut self.command(args)?)
    }

    fn daemon(self, config: &Config) -> Result<Command> {
        self.command(&["run", "--config", &config.write("gate.toml")?.display().to_string()])
    }

    fn start(self, config: &Config) -> Result<Background> {
        let daemon = Background::start(Host::Server, self.daemon(config)?, None)?;
        daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT).with_context(|| format!("{self:?}"))?;
        Ok(daemon)
    }

    /// The ends of the grants, in seconds from now, by source.
    fn grants(self) -> Result<Vec<(String, Option<f64>)>> {
        let status: serde_json::Value = serde_json::from_str(&self.run(&["status", "--json"])?.success()?)?;
        let grants = status["grants"].as_array().context("no grants")?;
        Ok(grants
            .iter()
            .map(|grant| (grant["source"].as_str().unwrap_or_default().to_owned(), grant["seconds_left"].as_f64()))
            .collect())
    }
}

/// Octets of a grant in the pinned table.
fn size() -> Result<u32> {
    Ok(MapInfo::from_pin(format!("{PINS}/GRANTS"))?.value_size())
}

fn config(mark: Mark) -> Config {
    mark.on(Config::lab()).set("cmd_timeout", "\"10m\"")
}

fn grants_and_sessions_go_to_another_layout_and_back() -> Result<()> {
    let (mut world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = config(mark);
    let mut daemon = Version::This.start(&config)?;
    let mut session = {
        world.knock_open()?;
        let session = Session::open(world.family)?;
        world.revoke()?;
        session
    };
    // One for good, one by a knock over IPv6.
    world.command(&["allow", KEPT])?;
    world.family = Family::V6;
    world.knock_open()?;
    let before = accepted(Host::Server)?;
    let floods =
        Family::ALL.map(|family| Flood::start(Host::Stranger, (family.address(Host::Server), SSH_PORT).into()));
    let (ours, sizes) = (size()?, [Version::Next, Version::This, Version::Next, Version::This]);
    for (turn, version) in sizes.into_iter().enumerate() {
        // One time the daemon ends as at a restart, the next time without a word.
        if turn % 2 == 0 {
            daemon.terminate()?;
        } else {
            daemon.kill()?;
        }
        // The new version's commands do not touch what they do not know, and say what to do.
        let ran = version.run(&["allow", KEPT])?;
        ensure!(ran.code == 2 && ran.stderr.contains("restart the daemon"), "{version:?}: {ran}");
        daemon = version.start(&config)?;
        ensure!((size()? == ours) == (version == Version::This), "{version:?} has grants of {} octets", size()?);
        let said = daemon.lines.after(0).join("\n");
        ensure!(said.contains("taken over with its grants"), "{version:?}: {said}");
        let grants = version.grants()?;
        let kept = |source: &str| grants.iter().find(|(found, _)| found == source).map(|(_, left)| *left);
        ensure!(kept(KEPT) == Some(None) && grants.len() == 2, "{version:?}: {grants:?}");
        let left = kept(&world.address(Host::Client).to_string()).flatten().context("the client's grant is lost")?;
        ensure!(left > 400.0 && left <= 600.0, "{version:?}: {left}");
        session.echo().with_context(|| format!("{version:?}"))?;
        // What this version writes, the next one takes over as well.
        world.knock_open()?;
    }
    for flood in floods {
        let flooded = flood.stop()?;
        ensure!(flooded.sent > 100 && flooded.opened == 0, "{flooded:?}");
    }
    assert_eq!(accepted(Host::Server)?, before);
    world.must_open(Host::Client)?;
    mark.wait_for(1)?;
    world.command(&["unload"])?;
    assert!(!Path::new(PINS).exists());
    mark.wait_for(0)
}

fn an_upgrade_killed_at_any_step_is_brought_to_an_end_or_never_was() -> Result<()> {
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = config(mark);
    Version::This.start(&config)?.kill()?;
    world.command(&["allow", KEPT])?;
    let ours = size()?;
    let trace = Trace::new();
    {
        let mut traced = Background::start(Host::Server, trace.of(&Version::Next.daemon(&config)?), None)?;
        traced.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
        traced.kill()?;
    }
    let mut calls = trace.calls()?;
    calls.retain(Call::is_lasting);
    let moved = calls.iter().position(|call| call.is("LINK_UPDATE")).context("no link is moved")?;
    // All around the moment in which the links move, and of each kind before and after it.
    let chosen = steps(calls.clone());
    let worth = |index: usize| (moved..moved + 3).contains(&index) || chosen.contains(&calls[index]);
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    for (index, call) in calls.iter().enumerate().filter(|(index, _)| worth(*index)) {
        let step = || format!("killed at {index}: {}", call.text);
        Version::This.start(&config).with_context(step)?.kill()?;
        let mut killed =
            Background::start(Host::Server, faulty(&Version::Next.daemon(&config)?, call, Fault::Kill), None)?;
        let status = killed.wait(TIMEOUT).with_context(step)?;
        ensure!(status.signal() == Some(9), "{status}: {}: {:?}", step(), killed.lines.after(0));
        // Whichever version it is now, its commands find the gate whole.
        let ran = Version::This.run(&["status"])?;
        let version = if size()? == ours { Version::This } else { Version::Next };
        ensure!((ran.code == 0) == (version == Version::This), "{}: {ran}", step());
        assert_eq!(version.grants().with_context(step)?, [(KEPT.to_owned(), None)], "{}", step());
        assert!(!Path::new(PINS).join("next").exists(), "{}", step());
        world.knock_open()?;
        world.must_open(Host::Client).with_context(step)?;
        let client = world.address(Host::Client).to_string();
        version.run(&["revoke", &client])?.success().with_context(step)?;
    }
    let flooded = flood.stop()?;
    ensure!(flooded.sent > 100 && flooded.opened == 0, "{flooded:?}");
    Version::Next.run(&["unload"])?.success()?;
    mark.wait_for(0)
}

fn a_used_sequence_stays_used_in_another_layout() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let file = Path::new(sandbox::DIR).join("upgraded.once");
    fs::write(&file, "7000/tcp, 8000/udp, 9000/tcp\n7100/udp, 8100/udp, 9100/udp\n")?;
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let old = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
    let config = Config::lab().with(old, &format!("one_time_sequences = {file:?}\n"));
    Version::This.start(&config)?.kill()?;
    // Used while nobody marks it.
    world.knock_open()?;
    world.must_open(Host::Client)?;
    world.revoke()?;
    let _daemon = Version::Next.start(&config)?;
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    until("the mark", TIMEOUT, || fs::read_to_string(&file).ok()?.starts_with("# used ").then_some(()))?;
    until("the next sequence", TIMEOUT, || {
        world.knock(&["7100/udp", "8100/udp", "9100/udp"], Duration::ZERO).ok()?;
        (world.connect(Host::Client).ok()?.0 == Probe::Open).then_some(())
    })
}

fn pins_of_the_layout_before_are_taken_over() -> Result<()> {
    let (world, mark) = (World::new(Family::V4, None)?, Mark::new());
    let config = config(mark);
    Version::This.start(&config)?.kill()?;
    world.command(&["allow", KEPT])?;
    // Layout 2 had the same grants, said only its version, and pinned no program.
    let mut layout = Array::<MapData, u64>::create(1, 0)?;
    layout.set(0, 2, 0)?;
    let path = format!("{PINS}/LAYOUT");
    fs::remove_file(&path)?;
    layout.pin(&path)?;
    fs::remove_file(format!("{PINS}/rules/PROGRAM"))?;
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    let _daemon = Version::This.start(&config)?;
    assert_eq!(Version::This.grants()?, [(KEPT.to_owned(), None)]);
    let flooded = flood.stop()?;
    ensure!(flooded.sent > 100 && flooded.opened == 0, "{flooded:?}");
    let layout = Array::<_, u64>::try_from(Map::Array(MapData::from_pin(&path)?))?;
    assert!(layout.get(&0, 0)? > 2);
    mark.wait_for(1)
}

/// The kernel's numbers of the maps that say when keys were last used, and since when that is noted, boot time in ns.
fn last_times() -> Result<([u32; 2], u64)> {
    let id = |name: &str| Ok::<_, anyhow::Error>(MapInfo::from_pin(format!("{PINS}/{name}"))?.id());
    let clock = MapData::from_pin(format!("{PINS}/WALL_CLOCK"))?;
    let clock = Array::<_, [u64; 2]>::try_from(Map::Array(clock))?;
    Ok(([id("LAST_TIMES")?, id("WALL_CLOCK")?], clock.get(&0, 0)?[1]))
}

fn last_times_go_over_to_every_layout_and_are_never_half_lost() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let config = Config::lab();
    let begun = boot_now();
    Version::This.start(&config)?.kill()?;
    let first = last_times()?;
    assert!((begun..boot_now()).contains(&first.1));
    for version in [Version::Next, Version::This, Version::This] {
        version.start(&config)?.kill()?;
        assert_eq!(last_times()?, first, "with {version:?}");
    }
    for lost in ["LAST_TIMES", "WALL_CLOCK"] {
        let before = (last_times()?, boot_now());
        fs::remove_file(format!("{PINS}/{lost}"))?;
        Version::This.start(&config)?.kill()?;
        let after = last_times()?;
        assert!(after.1 > before.1, "{lost}: noted anew since {}, lost at {}", after.1, before.1);
        assert!(after.0.iter().zip(before.0.0).all(|(after, before)| *after != before), "{lost}: both are new");
    }
    Ok(())
}
