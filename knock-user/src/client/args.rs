//! The command line of `knockctl knock`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{Family, SourceAddress};
use crate::syntax::duration;

/// The longest span that an option takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Knock on a host's ports, in order.
#[derive(clap::Args, Clone, Debug)]
#[command(version, after_help = AFTER)]
pub struct KnockArgs {
    /// Knock with UDP on every port, whatever the ports say
    #[arg(short, long)]
    pub udp: bool,
    /// Pause between two knocks, in milliseconds (default 10); with none, they may arrive in another order
    #[arg(short, long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub delay: Option<u64>,
    /// Knock IPv4 addresses only
    #[arg(short = '4', long, conflicts_with_all = ["ipv6", "both"])]
    pub ipv4: bool,
    /// Knock IPv6 addresses only
    #[arg(short = '6', long, conflicts_with = "both")]
    pub ipv6: bool,
    /// Knock over IPv4 and IPv6, and fail unless both went out (default: what the name has)
    #[arg(long)]
    pub both: bool,
    /// Knock from this address of this host; a link-local one with its interface, fe80::1%eth0
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<SourceAddress>,
    /// Knock through this interface (on Linux)
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// The service's TCP port, for --wait and --stdio
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// After the knock, wait up to this long until the service's port accepts; exit 1 if it does not
    #[arg(long, value_name = "SPAN", value_parser = span, conflicts_with = "keep_open")]
    pub wait: Option<Duration>,
    /// Knock again this often if the port does not accept (default 1), with --wait and --stdio
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    pub retries: Option<u32>,
    /// Knock, connect to the service's port, and pass standard input and output through (for ssh's ProxyCommand)
    #[arg(long, conflicts_with_all = ["keep_open", "then"])]
    pub stdio: bool,
    /// The same to another place behind the gate; the knocked address is used where HOST has it
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["keep_open", "then", "port"])]
    pub connect: Option<String>,
    /// Knock again and again before the door closes, until interrupted; says how often
    #[arg(short, long, conflicts_with = "then")]
    pub keep_open: bool,
    /// How often, with --keep-open (default: a little sooner than the profile's open_for)
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "keep_open")]
    pub every: Option<Duration>,
    /// Only knock, whatever the profile says under `then`
    #[arg(long, conflicts_with = "then")]
    pub no_then: bool,
    /// The file of the profiles
    #[arg(long, value_name = "FILE", env = "KNOCK_PROFILES")]
    pub profiles: Option<PathBuf>,
    /// List the profiles
    #[arg(long, conflicts_with_all = ["host", "then", "stdio", "connect", "keep_open", "wait"])]
    pub list: bool,
    /// Say each knock
    #[arg(short, long)]
    pub verbose: bool,
    /// Name or address, all addresses of a name are knocked; or, without ports, the name of a profile. Ports may stand
    /// behind it: `host:7000,8000/udp`, `[2001:db8::1]:7000`
    #[arg(required_unless_present = "list")]
    pub host: Option<String>,
    /// Ports in order: 7000, 8000/udp, 9000:tcp, ssh/tcp, or a range 7000-7010/tcp; blanks or commas between them
    #[arg(value_name = "PORT")]
    pub ports: Vec<String>,
    /// After the knock, run this with its arguments, all words from here on; ends as it ends
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    pub then: Vec<OsString>,
}

const AFTER: &str = "In the words of --then, %IP% is the address that was knocked, %HOST% the host and %PORT% the \
service's port; the environment has them as KNOCK_IP, KNOCK_HOST and KNOCK_PORT.\n\nProfiles are in \
~/.config/knock/client.toml ($XDG_CONFIG_HOME/knock/client.toml; on Windows %APPDATA%\\knock\\client.toml).";

fn span(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(span) if span.is_zero() => Err("no time at all: write it as 5s or 1m30s".to_owned()),
        Some(span) if span > LONGEST => Err("longer than a day".to_owned()),
        Some(span) => Ok(span),
        None => Err("no span of time: write it as 5s or 1m30s".to_owned()),
    }
}

impl KnockArgs {
    /// The pause between two steps, if one is asked for.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.delay.map(Duration::from_millis)
    }

    /// The addresses that are meant, if that is said.
    #[must_use]
    pub const fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6, self.both) {
            (true, ..) => Some(Family::V4),
            (_, true, _) => Some(Family::V6),
            (_, _, true) => Some(Family::Both),
            _ => None,
        }
    }
}
