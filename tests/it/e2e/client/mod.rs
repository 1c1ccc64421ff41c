//! The client from day to day: profiles, what runs behind the knock, doors that are kept open. As an
//! account without rights, against the real gate and a real ssh server.

mod keep_open;
mod knock;
mod profiles;
mod proxy;
mod then;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tests::harness::Test;
use tests::lab::{Config, Family, Host, Mount, NOBODY, Ran, knockctl, knockctl_as_nobody};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    [knock::tests(), profiles::tests(), then::tests(), proxy::tests(), keep_open::tests()]
        .into_iter()
        .flatten()
        .collect()
}

/// A world with the lab's gate, whose door stays open for long.
fn gate(family: Family) -> Result<World> {
    World::guarded(family, &Config::lab().set("cmd_timeout", "\"1h\""))
}

/// The home of the account without rights.
struct Home {
    dir: PathBuf,
}

impl Home {
    /// A home with these profiles.
    fn with(profiles: &str) -> Result<Self> {
        let home = Self { dir: "/run/home".into() };
        let file = home.file();
        let dir = file.parent().unwrap_or(&file);
        fs::create_dir_all(dir)?;
        fs::write(&file, profiles)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        chown(&file, Some(NOBODY), Some(NOBODY))?;
        Ok(home)
    }

    /// A home with a profile of the lab's server by its address: `myserver`.
    fn of(world: &World, more: &str) -> Result<Self> {
        let server = world.address(Host::Server);
        Self::with(&format!(
            "[hosts.myserver]\nhost = \"{server}\"\nsequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\nport = 2222\n{more}\n"
        ))
    }

    fn file(&self) -> PathBuf {
        self.dir.join(".config/knock/client.toml")
    }

    /// `knockctl knock`, for that account.
    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = knockctl_as_nobody()?;
        command.env("HOME", &self.dir).arg("knock").args(args);
        Ok(command)
    }

    /// The same, run to its end on the client.
    fn knock(&self, args: &[&str]) -> Result<Ran> {
        Host::Client.run(&mut self.command(args)?)
    }
}

/// A name with an address of each family: `server.example`, as long as it is kept.
fn name_the_server() -> Result<Mount> {
    let hosts = Path::new(tests::lab::sandbox::DIR).join("hosts");
    let lines = Family::ALL.map(|family| format!("{} server.example\n", family.address(Host::Server)));
    fs::write(&hosts, format!("127.0.0.1 localhost\n{}", lines.concat()))?;
    fs::set_permissions(&hosts, fs::Permissions::from_mode(0o644))?;
    Mount::over(&hosts, "/etc/hosts")
}

/// Removes all grants.
fn revoke_all() -> Result<()> {
    knockctl(Host::Server, &["revoke", "--all"])?.success().map(drop)
}
