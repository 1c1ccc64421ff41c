//! The command line of `knockctl knock`.

use std::time::Duration;

use super::{DELAY, Family};

/// Knock on a host's ports, in order.
#[derive(clap::Args, Clone, Debug)]
pub struct KnockArgs {
    /// Knock with UDP on every port, whatever the ports say
    #[arg(short, long)]
    pub udp: bool,
    /// Pause between two knocks, in milliseconds; with none, they may arrive in another order
    #[arg(short, long, value_name = "MS", default_value_t = DELAY.as_millis() as u64)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=60_000))]
    pub delay: u64,
    /// Knock IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Knock IPv6 addresses only
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Say each knock
    #[arg(short, long)]
    pub verbose: bool,
    /// Name or address; all addresses of a name are knocked
    pub host: String,
    /// Ports in order: 7000, 8000/udp, 9000:tcp, ssh/tcp, or a range 7000-7010/tcp
    #[arg(value_name = "PORT", required = true)]
    pub ports: Vec<String>,
}

impl KnockArgs {
    /// The pause between two steps.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        Duration::from_millis(self.delay)
    }

    /// The addresses that are meant.
    #[must_use]
    pub const fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}
