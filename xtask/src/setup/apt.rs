//! Installs Debian packages, without starting a service and without removing a package.

use std::process::Command;

use anyhow::{Result, anyhow};

use super::packages::{self, Package};
use crate::{shell, step};

/// Runs a command while no service is started: /usr/sbin/policy-rc.d, unless the host has its own,
/// says no as long as this shell lives, and is removed by it on every way out. It is the shell's and
/// not ours because apt must end, and the file be removed, also when `cargo xtask` is interrupted.
const WITHOUT_SERVICES: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\n[ -d /proc/%s ] || { rm -f "$0"; exit 0; }\nexit 101\n' "$$" > "$policy"
    chmod 755 "$policy"
fi
"$@"
"#;

/// Installs the packages, all in one go: apt changes nothing until it has all of them.
pub fn install(packages: &[Package]) -> Result<()> {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    let installed = step::line("setup", format!("apt-get install {}", names.join(" ")), || {
        // A failure may be that of a source we need nothing from: the installation decides.
        let _ = shell::logged(apt("update").arg("-qq"), "apt-update", None);
        let mut install = apt("install");
        install.args(["-y", "--no-install-recommends", "--no-remove"]);
        shell::logged(install.args(&names), "apt-install", None)?;
        Ok(((), "installed".to_owned()))
    });
    installed.map_err(|error| {
        anyhow!(
            "setup: apt-get: {error}\nWith the network there, run\n\n    {}\n\nand the same command again",
            packages::install_line(packages)
        )
    })?;
    disable(packages)
}

/// apt-get, asking nothing, and starting and restarting nothing. It is never killed, which could
/// leave packages half installed: it waits neither for the network nor for another apt without end.
fn apt(verb: &str) -> Command {
    let mut command = shell::command("sh");
    command
        .args(["-c", WITHOUT_SERVICES, "sh", "apt-get", verb])
        .args(["-o", "DPkg::Lock::Timeout=120"])
        .args(["-o", "Dpkg::Options::=--force-confold"])
        .args(["-o", "Acquire::Retries=2"])
        .args(["-o", "Acquire::http::Timeout=20"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("NEEDRESTART_SUSPEND", "1");
    command
}

/// Keeps the services that are new on this host from starting at the next boot.
fn disable(packages: &[Package]) -> Result<()> {
    let services: Vec<&str> = packages.iter().filter_map(|one| one.service).collect();
    if services.is_empty() {
        return Ok(());
    }
    step::line("setup", format!("services {}", services.join(" ")), || {
        for service in &services {
            let mut command = match shell::find("systemctl") {
                Some(systemctl) => {
                    let mut command = shell::command(systemctl);
                    command.args(["disable", service]);
                    command
                }
                None => {
                    let mut command = shell::command("update-rc.d");
                    command.args([service, "disable"]);
                    command
                }
            };
            if let Err(why) = shell::logged(&mut command, "services", None) {
                return Ok(((), format!("not started; still enabled at boot ({why}),")));
            }
        }
        Ok(((), "not started, and disabled at boot".to_owned()))
    })
}
