//! A server of the lab that is a Debian with a systemd, and what is asked of it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::lab::{Config, Family, Host, Machine, MachineRoot, Probe, Ran, Session, TIMEOUT, until};
use tests::story::World;

/// The service.
pub const UNIT: &str = "knockctl.service";
/// Its config.
pub const CONFIG: &str = "/etc/knock/knock.toml";
/// Where the packages are copied to.
const HERE: &str = "/srv";

/// Which of the packages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Package {
    /// The Debian package.
    Deb,
    /// The same with a later revision.
    Next,
    /// The tarball.
    Tarball,
}

impl Package {
    /// Where `cargo xtask test` has put it.
    pub fn path(self) -> Result<PathBuf> {
        from_env(match self {
            Self::Deb => "KNOCK_DEB",
            Self::Next => "KNOCK_DEB_NEXT",
            Self::Tarball => "KNOCK_TARBALL",
        })
    }
}

fn from_env(variable: &str) -> Result<PathBuf> {
    let path = env::var_os(variable).with_context(|| format!("no {variable}: run it with `cargo xtask test`"))?;
    ensure!(Path::new(&path).exists(), "{variable}: nothing at {}", path.display());
    Ok(path.into())
}

/// The disk of a Debian that has never seen a gate.
pub fn disk() -> Result<MachineRoot> {
    MachineRoot::of(&from_env("KNOCK_DEBIAN")?)
}

/// Copies a package onto a disk, and says where it is there.
pub fn put(disk: &MachineRoot, package: Package) -> Result<String> {
    let from = package.path()?;
    let name = from.file_name().context("a file")?.to_string_lossy();
    let to = format!("{HERE}/{name}");
    disk.copy(&from, &to)?;
    Ok(to)
}

/// The lab's config with a grant that outlives the test.
pub fn config() -> Config {
    Config::lab().set("cmd_timeout", "\"30m\"")
}

/// The same, and a daemon that takes the gate along when it is told to stop: no good at a restart.
pub fn detaching() -> Config {
    config().option("on_exit", "\"detach\"")
}

/// The machine, and the lab around it.
pub struct Debian {
    /// An ssh session, while there is one. It goes first.
    pub session: Option<Session>,
    /// The machine on which packages are installed.
    pub machine: Machine,
    /// The lab; its ssh server is on the machine's network.
    pub world: World,
}

impl Debian {
    /// Boots it.
    pub fn boot() -> Result<Self> {
        let world = World::new(Family::V4, None)?;
        let machine = Machine::boot(Host::Server, disk()?)?;
        machine.wait_for("multi-user.target")?;
        Ok(Self { session: None, machine, world })
    }

    /// Runs a line of shell as root; it need not succeed.
    pub fn sh(&self, line: &str) -> Result<Ran> {
        self.machine.run(&["sh", "-c", line])
    }

    /// The same, which must succeed, with all that it says.
    pub fn must(&self, line: &str) -> Result<String> {
        let ran = self.sh(line)?;
        ensure!(ran.code == 0, "{ran}");
        Ok(ran.stdout + &ran.stderr)
    }

    /// Installs a package, or moves to it.
    pub fn install(&self, package: Package) -> Result<String> {
        let file = put(self.machine.root(), package)?;
        self.must(&format!("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {file}"))
    }

    /// Writes the config.
    pub fn configure(&self, config: &Config) -> Result<()> {
        self.must(&format!("umask 077; cat > {CONFIG} <<'END'\n{}END", config.0)).map(drop)
    }

    /// Whether there is something at a path.
    pub fn has(&self, path: &str) -> Result<bool> {
        Ok(self.machine.run(&["test", "-e", path])?.code == 0)
    }

    /// The state of the service.
    pub fn active(&self) -> Result<String> {
        self.machine.property(UNIT, "ActiveState")
    }

    /// The process of the service.
    pub fn pid(&self) -> Result<String> {
        self.machine.property(UNIT, "MainPID")
    }

    /// What `knockctl status --json` says.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.machine.must(&["knockctl", "status", "--json"])?)?)
    }

    /// What the protected port is to a host.
    pub fn port(&self, from: Host) -> Result<Probe> {
        Ok(self.world.connect(from)?.0)
    }

    /// Says a line through the session, which must come back.
    pub fn echo(&mut self) -> Result<()> {
        self.session.as_mut().context("no session")?.echo().map(drop)
    }

    /// Waits until the gate stands: a plain unit is active before.
    pub fn gates(&self) -> Result<()> {
        until("the gate", TIMEOUT, || {
            (self.port(Host::Stranger).ok()? == Probe::Silent && self.status().is_ok()).then_some(())
        })
        .with_context(|| self.machine.journal(UNIT).unwrap_or_default())
    }
}
