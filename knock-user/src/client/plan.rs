//! What one command line means: options over profile over defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use knock_common::packet::Transport;

use super::args::KnockArgs;
use super::knock::{DELAY, KnockOptions};
use super::profiles::{Profile, Profiles, ProfilesError, RETRIES, default_path};
use super::resolve::Family;
use super::schedule;
use super::sequence::parse_sequence;
use super::source::Source;
use super::target;
use crate::syntax::{Port, PortNames};

/// How long a port may take to accept under `--stdio`: time for the SYN to be sent twice.
const STDIO_WAIT: Duration = Duration::from_secs(3);

/// Whom to knock, how, and what then.
#[derive(Debug)]
pub(super) struct Plan {
    /// Name or address.
    pub(super) host: String,
    /// The ports.
    pub(super) steps: Vec<Port>,
    /// Which addresses.
    pub(super) family: Family,
    /// Pause, way and verbosity.
    pub(super) options: KnockOptions,
    /// The service's TCP port.
    pub(super) port: Option<u16>,
    /// Further knocks if the port does not accept.
    pub(super) retries: u32,
    /// What comes after the knock.
    pub(super) act: Act,
}

/// What comes after the knock.
#[derive(Debug)]
pub(super) enum Act {
    /// Nothing, or a program; before it, the port must accept within the time, if there is one.
    Go {
        /// The time.
        wait: Option<Duration>,
        /// The program and its arguments; empty: nothing.
        then: Vec<OsString>,
    },
    /// A connection on standard input and output.
    Stdio {
        /// Another host than that which was knocked.
        host: Option<String>,
        /// How long each try may take.
        wait: Duration,
    },
    /// The same knock again and again.
    KeepOpen {
        /// How often.
        every: Duration,
    },
}

impl Plan {
    /// Reads a command line, and the profiles if it names one.
    ///
    /// # Errors
    ///
    /// With the remedy, if that makes no sense.
    pub(super) fn new(args: &KnockArgs) -> Result<Self> {
        let host = args.host.as_deref().context("knock: no host; name one")?;
        let names = PortNames::of_host();
        if !(args.ports.is_empty() && is_profile(args, host)) {
            let (host, first) = target::split(host)?;
            let ports: Vec<String> = first.into_iter().chain(args.ports.iter().cloned()).collect();
            if !ports.is_empty() {
                let steps = parse_sequence(&ports, args.udp, &names)?;
                return Self::of(args, host, steps, None, &names);
            }
        }
        let profile = find(args, host)?;
        let mut steps = profile.sequence.clone();
        if args.udp {
            steps.iter_mut().for_each(|step| step.transport = Transport::Udp);
        }
        Self::of(args, profile.host.clone(), steps, Some(&profile), &names)
    }

    fn of(
        args: &KnockArgs,
        host: String,
        steps: Vec<Port>,
        profile: Option<&Profile>,
        names: &PortNames,
    ) -> Result<Self> {
        let from = args.source.clone().or_else(|| profile?.source.clone());
        let interface = args.interface.clone().or_else(|| profile?.interface.clone());
        let scope = match &from {
            Some(from) => from.scope(interface.as_deref()).map_err(|why| anyhow!("knock: --source {from}: {why}"))?,
            None => 0,
        };
        let source = Source { address: from.map(|from| from.ip), scope, interface };
        let options = KnockOptions {
            delay: args.delay().or_else(|| Some(profile?.delay)).unwrap_or(DELAY),
            verbose: args.verbose,
            source,
        };
        let (connect_host, connect_port) = match &args.connect {
            Some(text) => endpoint(text, names).map(|(host, port)| (Some(host), Some(port)))?,
            None => (None, None),
        };
        let port = match &args.port {
            Some(text) => Some(tcp_port("--port", text, names)?),
            None => connect_port.or_else(|| profile?.port),
        };
        let act = if args.stdio || args.connect.is_some() {
            Act::Stdio { host: connect_host, wait: args.wait.unwrap_or(STDIO_WAIT) }
        } else if args.keep_open {
            Act::KeepOpen { every: every(args, profile, &options, steps.len())? }
        } else {
            let own = profile.filter(|_| !args.no_then).map_or(&[][..], |profile| &profile.then);
            let then = if args.then.is_empty() { own.iter().map(OsString::from).collect() } else { args.then.clone() };
            Act::Go { wait: args.wait, then }
        };
        let is_port_needed = matches!(act, Act::Stdio { .. } | Act::Go { wait: Some(_), .. });
        if is_port_needed && port.is_none() {
            bail!("knock: {host}: which port is the service's? add --port 2222, or port = 2222 to the profile");
        }
        Ok(Self {
            host,
            steps,
            family: args.family().or_else(|| Some(profile?.family)).unwrap_or(Family::Any),
            options,
            port,
            retries: args.retries.or_else(|| Some(profile?.retries)).unwrap_or(RETRIES),
            act,
        })
    }
}

/// The file of the profiles.
pub(super) fn path_of(args: &KnockArgs) -> Result<PathBuf> {
    args.profiles
        .clone()
        .or_else(default_path)
        .context("knock: this user has no home, and so no profiles; name their file with --profiles")
}

/// True if a name that could be a host with its ports is that of a profile.
fn is_profile(args: &KnockArgs, name: &str) -> bool {
    let profiles = || Profiles::load(&path_of(args).ok()?).ok();
    name.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        && profiles().is_some_and(|profiles| profiles.get(name).is_some())
}

/// The profile with this name; else an error that says what else the name could mean.
fn find(args: &KnockArgs, name: &str) -> Result<Profile> {
    let path = path_of(args)?;
    let meant = target::hint(name).map(|hint| format!("{hint} Or ")).unwrap_or_default();
    let ports = format!("{meant}write the ports behind the host: knockctl knock {name} 7000 8000/udp");
    let profiles = match Profiles::load(&path) {
        Ok(profiles) => profiles,
        Err(ProfilesError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let file = path.display();
            bail!(
                "knock: {name}: no ports, and no profiles: {file} is not there\n  help: {ports}; or put a profile there"
            );
        }
        Err(error) => bail!(error),
    };
    profiles.get(name).cloned().ok_or_else(|| {
        let near = profiles.nearest(name).map(|near| format!("did you mean {near}? Or ")).unwrap_or_default();
        let file = profiles.path.display();
        anyhow!("knock: {name}: no ports, and no profile of that name in {file}\n  help: {near}{ports}; --list lists the profiles")
    })
}

fn every(args: &KnockArgs, profile: Option<&Profile>, options: &KnockOptions, steps: usize) -> Result<Duration> {
    if let Some(every) = args.every {
        return Ok(every);
    }
    let open_for = profile
        .and_then(|profile| profile.open_for)
        .context("knock: how often? add --every 50s, or open_for = \"60s\" to the profile, as the server has it")?;
    schedule::period(open_for, options.delay, steps)
        .context("knock: the door closes again before the next knock could be made; choose a shorter delay")
}

fn tcp_port(what: &str, text: &str, names: &PortNames) -> Result<u16> {
    let port = Port::parse(text, names).map_err(|error| anyhow!("knock: {what} {text}: {error}; {}", error.help()))?;
    if port.transport == Transport::Udp {
        bail!("knock: {what} {text}: a UDP port does not accept connections; name a TCP port");
    }
    Ok(port.number)
}

/// `HOST:PORT`; ssh writes IPv6 addresses without brackets.
fn endpoint(text: &str, names: &PortNames) -> Result<(String, u16)> {
    let (host, port) = text
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && !port.is_empty())
        .with_context(|| format!("knock: --connect {text}: write HOST:PORT, such as server.example:2222"))?;
    Ok((host.to_owned(), tcp_port("--connect", port, names)?))
}
