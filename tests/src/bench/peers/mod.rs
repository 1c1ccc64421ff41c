//! What guards a port of the server while it is measured: ours, and what people use today, each set up as its own
//! manual has it, in as few lines. All of them guard [`SSH_PORT`](crate::lab::SSH_PORT), over IPv4, which all of them can.

mod children;
mod fwknop;
mod iptables;
mod knockd;
mod nftables;
mod own;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use knock_common::packet::Transport;

use super::ground::{self, Ground};
use super::knock::Knock;
use super::rounds::{BEFORE, CONTROL};
use super::server;
use super::{Rounds, Sheet};
use crate::lab::{Host, TIMEOUT, until};

pub use children::{children, end};
pub use own::{Own, build};

/// The knock of all that are opened by a sequence.
pub const STEPS: [(u16, Transport); 3] = [(7000, Transport::Tcp), (8000, Transport::Udp), (9000, Transport::Tcp)];

/// How long a shut port is watched for an answer.
const WATCHED: Duration = Duration::from_millis(20);

/// A guard, until it is dropped; nothing of it is left then.
pub trait Guard {
    /// Its program, if it runs one.
    fn process(&self) -> Option<u32>;

    /// From its start until it guarded, without what has to be there before.
    fn took(&self) -> Duration;

    /// What opens the port to this source, once.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    fn knock(&self, source: Ipv4Addr) -> Result<Knock>;

    /// What the first knock of everybody goes to: a flood of these is its worst.
    fn first_knock(&self) -> (u16, Transport) {
        STEPS[0]
    }
}

/// Who guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ours in native mode.
    Own,
    /// Another commit's, set up in the same way.
    Before,
    /// Ours once more: what it differs by is noise.
    Control,
    /// Ours in generic mode.
    Generic,
    /// Debian's knockd with the article's config, behind the article's chain of iptables.
    Knockd,
    /// Debian's fwknopd, which opens the same chain.
    Fwknop,
    /// The recipe of nftables' wiki.
    Nftables,
    /// Nobody: the port is open.
    Nobody,
}

impl Kind {
    /// Its name in figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Before => BEFORE,
            Self::Control => CONTROL,
            Self::Generic => "generic",
            Self::Knockd => "knockd",
            Self::Fwknop => "fwknop",
            Self::Nftables => "nftables",
            Self::Nobody => "none",
        }
    }

    /// True for each that is ours in native mode, of whatever commit.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Own | Self::Before | Self::Control)
    }

    /// Lets it guard; it does by the time that this returns.
    ///
    /// # Errors
    ///
    /// If it does not, with what it says.
    pub fn start(self) -> Result<Box<dyn Guard>> {
        Ok(match self {
            Self::Own | Self::Before | Self::Control => Box::new(Own::start(self, &own::config())?),
            Self::Generic => Box::new(Own::start(self, &own::config().option("mode", "\"generic\""))?),
            Self::Knockd => Box::new(knockd::Knockd::start()?),
            Self::Fwknop => Box::new(fwknop::Fwknop::start()?),
            Self::Nftables => Box::new(nftables::Recipe::start()?),
            Self::Nobody => Box::new(Nobody),
        })
    }

    /// Adds a measurement of it.
    pub fn record(self, rounds: &mut Rounds, value: f64) {
        match self {
            Self::Own => rounds.own(value),
            peer => rounds.peer(peer.name(), value),
        }
    }
}

/// Those that shut the port here and open it by a knock; of the others the sheet says why they do not. Ours must.
///
/// # Errors
///
/// If ours does not.
pub fn usable(kinds: &[Kind], id: &str, ground: &Ground, sheet: &mut Sheet) -> Result<Vec<Kind>> {
    let mut usable = Vec::new();
    for &kind in kinds {
        match works(kind, ground) {
            Ok(()) => usable.push(kind),
            Err(error) if kind == Kind::Own => return Err(error.context("the gate does not work here")),
            Err(error) if kind == Kind::Before => sheet.cannot_compare(format!("{id}.*"), format!("{error:#}")),
            Err(error) => sheet.cannot(format!("{id} of {}", kind.name()), format!("{error:#}")),
        }
    }
    Ok(usable)
}

fn works(kind: Kind, ground: &Ground) -> Result<()> {
    let guard = kind.start()?;
    if kind == Kind::Nobody {
        return Ok(());
    }
    let source = ground.source();
    ensure!(is_shut(source)?, "the port is open without a knock");
    let knock = guard.knock(source)?;
    Host::Client.enter(|| knock.send(source).map(drop))?;
    until("the port to open", TIMEOUT, || (!is_shut(source).ok()?).then_some(()))
}

/// True if the port does not answer a client.
///
/// # Errors
///
/// If there is no way to it.
pub fn is_shut(source: Ipv4Addr) -> Result<bool> {
    Host::Client.enter(|| {
        let socket = ground::socket(source)?;
        Ok(socket.connect_timeout(&server::guarded().into(), WATCHED).is_err())
    })
}

/// Nobody guards.
struct Nobody;

impl Guard for Nobody {
    fn process(&self) -> Option<u32> {
        None
    }

    fn took(&self) -> Duration {
        Duration::ZERO
    }

    fn knock(&self, _source: Ipv4Addr) -> Result<Knock> {
        Ok(Knock(Vec::new()))
    }
}
