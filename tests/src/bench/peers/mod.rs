//! What guards a port of the server while it is measured: ours, and what people use today, each set up as its own
//! manual has it, in as few lines. All of them guard [`SSH_PORT`](crate::lab::SSH_PORT), over IPv4, which all of them can.

mod children;
mod fwknop;
mod guard;
mod iptables;
mod kind;
mod knockd;
mod nftables;
mod own;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::ground::{self, Ground};
use super::knock::Knock;
use super::server;
use super::sheet::Sheet;
use crate::lab::{Host, TIMEOUT, until};

pub use children::{children, end};
pub use guard::{Guard, STEPS};
pub use kind::Kind;
pub use own::{Own, build};

/// How long a shut port is watched for an answer.
const WATCHED: Duration = Duration::from_millis(20);

impl Kind {
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
