//! `knockctl reload`: through the daemon if it lives, by itself if not.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use anyhow::{Result, bail};
use log::warn;
use rustix::process::Signal;

use super::process::{self, Holder};
use super::{check, count};
use crate::config::DEFAULT_CONFIG;
use crate::config::{Config, ConfigError, Diagnostic, Severity, remarks_on_listeners, remarks_on_published};
use crate::exit::Exit;
use crate::kernel::{Firewall, Manner, State, need_root, remarks_on_filters};
use crate::paths::Paths;
use crate::runtime::{self, DaemonInfo, Force, Trial};
use crate::session::Session;

/// Arguments of `knockctl reload`.
#[derive(clap::Args, Clone, Debug)]
pub struct ReloadArgs {
    /// The config file (default: the daemon's; without a daemon /etc/knock/knock.toml)
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go back to the rules that are in force after this time, unless `knockctl confirm` is said
    #[arg(long, value_name = "SPAN", value_parser = crate::syntax::span::span)]
    pub trial: Option<Duration>,
    /// Also if it takes the gate off the last interface on which it stands
    #[arg(long)]
    pub force: bool,
}

/// Checks the config, then swaps the rules. A config with an error changes nothing.
///
/// # Errors
///
/// A config with errors, nothing loaded, not root, or what the daemon says.
pub fn run(args: &ReloadArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    need_root()?;
    let done = reload(args, paths, out);
    if let Some(daemon) = runtime::daemon(paths) {
        show(paths, daemon.status_group);
    }
    done
}

fn show(paths: &Paths, group: Option<u32>) {
    if let Err(error) = runtime::show_to(paths, group) {
        warn!("{error:#}");
    }
}

fn reload(args: &ReloadArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    if runtime::daemon(paths).is_none() && !State::exists(paths) {
        bail!("nothing is loaded: start the gate with `knockctl run`");
    }
    let holder = process::holder(paths)?;
    let path = match (&args.config, &holder) {
        (Some(path), Holder::Daemon(daemon)) if !is_same(path, &daemon.config) => bail!(
            "{}: the daemon (process {}) reads {}: change that file, or stop the daemon and run it with --config",
            path.display(),
            daemon.pid,
            daemon.config.display()
        ),
        (_, Holder::Daemon(daemon)) => &daemon.config,
        (Some(path), Holder::Nobody(_)) => path,
        (None, Holder::Nobody(_)) => Path::new(DEFAULT_CONFIG),
    };
    let mut config = load(path)?;
    if let Some(warning) = Session::own().and_then(|session| session.warning(&config, paths)) {
        log::warn!("{warning}");
    }
    let rules = format!("{}, {}", count(config.protecting().count(), "service"), count(config.doors.len(), "door"));
    let before = Firewall::standing(paths);
    let how = match &holder {
        Holder::Daemon(daemon) => {
            if let Some(span) = args.trial {
                Trial { seconds: span.as_secs().max(1), until: None }.write(paths)?;
            }
            // The daemon has given up the right to do this. Under the unit, systemd has shut the folder for this command.
            show(paths, config.options.status_group);
            if args.force {
                Force::say(paths)?;
            }
            let done = by_daemon(daemon, paths, Signal::HUP);
            // A daemon of another version does not hear it.
            Force::take(paths);
            done?;
            format!("by the daemon (process {})", daemon.pid)
        }
        Holder::Nobody(_) if args.trial.is_some() => bail!(
            "a trial needs the daemon, which goes back when nobody confirms: start it with the config that you trust, \
             and reload then"
        ),
        Holder::Nobody(_) => {
            for said in crate::reconcile::reconcile_pinned(&mut config, paths).said {
                warn!("{}", said.text);
            }
            // A gate that observes goes on observing until it is run anew.
            let observe = State::open(paths)?.observes()?;
            Firewall::start(&config, paths, Manner { observe, force: args.force, ..Manner::default() })?;
            let what = if observe { ": it only observes, and denies nothing" } else { "" };
            format!("the daemon is not running: rules swapped, nothing will be logged{what}")
        }
    };
    writeln!(out, "{}: reloaded ({rules}): {how}", path.display())?;
    // What cannot be looked at is no reason to say that the rules are not in force.
    if let (Ok(before), Ok(after)) = (before, Firewall::standing(paths)) {
        tell_taken_off(&before, &after, out)?;
    }
    if let Some(span) = args.trial {
        writeln!(out, "on trial for {}: `knockctl confirm` keeps it", humantime::format_duration(span))?;
    }
    Ok(Exit::Done)
}

/// Says which interfaces have no gate any more, and whether any has.
fn tell_taken_off(before: &BTreeMap<u32, String>, after: &BTreeMap<u32, String>, out: &mut dyn Write) -> Result<()> {
    for (_, name) in before.iter().filter(|(index, _)| !after.contains_key(index)) {
        writeln!(out, "{name}: the gate is taken off: options.interfaces does not mean it")?;
    }
    if after.is_empty() {
        writeln!(out, "no interface has the gate: NOTHING IS PROTECTED")?;
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

fn load(path: &Path) -> Result<Config> {
    match Config::load(path) {
        Ok((config, mut findings)) => {
            findings.extend(remarks_on_published(&config, Severity::Warning));
            findings.extend(remarks_on_listeners(&config));
            findings.extend(remarks_on_filters(&config));
            say(&findings);
            Ok(config)
        }
        Err(ConfigError::Refused(findings)) => {
            say(&findings);
            bail!("{}: refused ({}): the gate goes on as it was", path.display(), check::tally(&findings))
        }
        Err(error @ ConfigError::Io { .. }) => bail!("{error:#}"),
    }
}

/// Findings with the lines of the file only where a person reads them: the lines are secret, and a
/// service manager keeps what is written here.
fn say(findings: &[Diagnostic]) {
    let mut err = io::stderr().lock();
    let lines = err.is_terminal();
    for finding in findings {
        // The reload does not depend on who listens.
        let _ = if lines { writeln!(err, "{finding:#}") } else { writeln!(err, "{finding}") };
    }
}

/// How long a reload may take: one that moves a million grants to another table takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends the signal, and waits until the daemon has done what it asks for.
pub(super) fn by_daemon(daemon: &DaemonInfo, paths: &Paths, signal: Signal) -> Result<()> {
    let gone = || anyhow::anyhow!("the daemon (process {}) ended meanwhile: try again", daemon.pid);
    process::send(paths, daemon, signal)?.ok_or_else(gone)?;
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < end {
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(20));
        let now = runtime::daemon(paths).filter(|now| now.pid == daemon.pid).ok_or_else(gone)?;
        if now.reloads > daemon.reloads {
            return match now.last_reload {
                Some(reload) if !reload.ok => bail!(
                    "the daemon (process {}) could not reload: {}",
                    daemon.pid,
                    reload.error.as_deref().unwrap_or("see its log")
                ),
                _ => Ok(()),
            };
        }
    }
    bail!("the daemon (process {}) has not reloaded within {} s: see its log", daemon.pid, PATIENCE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_says_which_interfaces_have_lost_the_gate() {
        let names = |names: &[(u32, &str)]| names.iter().map(|(index, name)| (*index, (*name).to_owned())).collect();
        let said = |after: &[(u32, &str)]| {
            let mut out = Vec::new();
            tell_taken_off(&names(&[(2, "eth0"), (3, "eth1")]), &names(after), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said(&[(2, "eth0"), (3, "lan1")]), "", "a name has changed");
        let off = |name: &str| format!("{name}: the gate is taken off: options.interfaces does not mean it\n");
        assert_eq!(said(&[(3, "eth1"), (4, "eth2")]), off("eth0"));
        let nothing = "no interface has the gate: NOTHING IS PROTECTED\n";
        assert_eq!(said(&[]), [off("eth0"), off("eth1"), nothing.to_owned()].concat());
    }
}
