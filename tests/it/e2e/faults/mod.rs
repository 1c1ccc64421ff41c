//! Faults, each put in on purpose: the gate stays as it was, or there is none and nothing is left of it;
//! nobody gets in, no grant is lost, and the next start is in nobody's way.

mod beside;
mod clock;
mod descriptors;
mod disk;
mod garbage;
mod killed;
mod random;
mod refused;
mod removed;
mod stalled;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::harness::Test;
use tests::lab::{
    Background, Config, Daemon, Family, Flood, GATE_STANDS, Host, Mark, PINS, SSH_PORT, Status, TIMEOUT, knockctl_path,
};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    [
        killed::tests(),
        random::tests(),
        refused::tests(),
        removed::tests(),
        garbage::tests(),
        disk::tests(),
        descriptors::tests(),
        stalled::tests(),
        clock::tests(),
        beside::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Who has a grant for good from the beginning, which no fault may take away.
const KEPT: &str = "203.0.113.9";

/// `knockctl` with arguments.
fn command(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(knockctl_path()?);
    command.args(args);
    Ok(command)
}

/// The daemon's command.
fn daemon(config: &Config) -> Result<Command> {
    let file = config.write("gate.toml")?.display().to_string();
    command(&["run", "--config", &file])
}

/// Starts a daemon by a command, and waits until the gate stands.
fn start(command: Command) -> Result<Background> {
    let daemon = Background::start(Host::Server, command, None)?;
    daemon.lines.wait_after(0, GATE_STANDS, TIMEOUT)?;
    Ok(daemon)
}

/// A gate in a lab, with a grant to be kept and somebody at the door all the time.
struct Siege {
    world: World,
    flood: Option<Flood>,
}

impl Siege {
    /// Puts the gate up; there is no daemon.
    fn lay(config: &Config) -> Result<Self> {
        let world = World::new(Family::V4, None)?;
        start(daemon(config)?)?.kill()?;
        world.command(&["allow", KEPT])?;
        let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
        Ok(Self { world, flood: Some(flood) })
    }

    /// The gate works: what was granted is granted, and a knock opens.
    fn look(&self) -> Result<()> {
        let status = Status::read()?;
        ensure!(status.grants_of(KEPT.parse()?).len() == 1, "the grant is lost: {}", status.0["grants"]);
        ensure!(!Path::new(PINS).join("next").exists(), "a change is half done");
        opens(&self.world)
    }

    /// Nobody got in meanwhile.
    fn lift(mut self) -> Result<World> {
        let flooded = self.flood.take().expect("it is lifted once").stop()?;
        ensure!(flooded.sent > 100 && flooded.opened == 0, "{flooded:?}");
        Ok(self.world)
    }
}

/// A knock opens; its grant is taken away again.
fn opens(world: &World) -> Result<()> {
    world.knock_open()?;
    world.must_open(Host::Client).context("the knock does not open")?;
    world.revoke()
}

/// What a fault ends with: the daemon is killed, the next one, of the lab's config, is in order, and of neither anything
/// is left.
fn is_over(mut world: World, mark: Mark) -> Result<()> {
    if world.daemon.is_some() {
        world.gate()?.kill()?;
    }
    world.daemon = Some(Daemon::start(&mark.on(Config::lab()), None)?);
    opens(&world)?;
    mark.wait_for(1)?;
    world.gate()?.kill()?;
    unload(&world)?;
    mark.wait_for(0)
}

/// Takes the gate down, which leaves nothing.
fn unload(world: &World) -> Result<()> {
    world.command(&["unload"])?;
    ensure!(!Path::new(PINS).exists(), "pins are left");
    world.must_open(Host::Client).context("there is no gate")
}
