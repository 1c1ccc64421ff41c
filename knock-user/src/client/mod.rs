//! The client: `knockctl knock HOST PORT...`. Needs no root, and nothing of the gate but ports.

mod address;
mod args;
mod hit;
mod keep_open;
mod list;
mod pipe;
mod plan;
pub mod profiles;
mod reach;
mod resolve;
mod round;
mod sequence;
mod source;
mod target;
mod then;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use std::{io, thread};

use anyhow::{Context as _, Result};

pub use self::address::SourceAddress;
pub use self::args::KnockArgs;
pub use self::hit::{hit, hit_from};
pub use self::resolve::{Family, address_text, resolve};
pub use self::sequence::parse_sequence;
pub use self::source::Source;

use self::plan::{Act, Plan};
use self::reach::{Goal, reach};
use self::round::Round;
use self::then::Place;
use crate::exit::Exit;
use crate::settings::{Port, transport_name};

/// How to knock.
#[derive(Clone, Debug)]
pub struct KnockOptions {
    /// Pause between two steps.
    pub delay: Duration,
    /// Say each hit.
    pub verbose: bool,
    /// Where knocks leave this host.
    pub source: Source,
}

/// Default of [`KnockOptions::delay`]. Network cards put packets to different ports into different
/// queues, which different CPUs drain: knocks without a pause may arrive in another order.
pub const DELAY: Duration = Duration::from_millis(10);

/// An address that could not be knocked to the end.
#[derive(Debug)]
pub struct Failure {
    /// The address, with the port of the step that could not be sent.
    pub address: SocketAddr,
    /// That step.
    pub step: Port,
    /// What the system says.
    pub error: io::Error,
}

/// Knocks for a user, and does what is to come then; says on standard error what did not go.
///
/// # Errors
///
/// If the arguments or the profile make no sense, the host has no address, or none of its addresses
/// could be knocked to the end.
pub fn run(args: &KnockArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.list {
        return list::run(args, out);
    }
    let plan = Plan::new(args)?;
    // Standard output is the program's, or the connection's.
    let errors = &mut io::stderr();
    let port = || plan.port.context("knock: no port");
    match &plan.act {
        Act::Go { wait: None, then } if then.is_empty() => Round::say(&plan, out).map(|_| Exit::Done),
        Act::Go { wait: None, then } => {
            let knocked = Round::say(&plan, errors)?;
            thread::sleep(plan.options.delay);
            let address = *knocked.first().context("knock: no address")?;
            then::run(then, &Place { host: &plan.host, address, port: plan.port })
        }
        Act::Go { wait: Some(wait), then } => {
            let goal = Goal { host: None, port: port()?, wait: *wait, is_patient: true };
            let out = if then.is_empty() { out } else { errors };
            let Some(stream) = said(reach(&plan, &goal, out)?) else { return Ok(Exit::Negative) };
            let address = stream.peer_addr().context("knock: the connection")?;
            drop(stream);
            if then.is_empty() {
                return Ok(Exit::Done);
            }
            then::run(then, &Place { host: &plan.host, address, port: plan.port })
        }
        Act::Stdio { host, wait } => {
            let goal = Goal { host: host.as_deref(), port: port()?, wait: *wait, is_patient: false };
            match said(reach(&plan, &goal, errors)?) {
                Some(stream) => pipe::pipe(&stream),
                None => Ok(Exit::Negative),
            }
        }
        Act::KeepOpen { every } => keep_open::run(&plan, *every, out),
    }
}

/// Says why there is no connection.
fn said<T>(reached: Result<T, String>) -> Option<T> {
    reached
        .inspect_err(|why| {
            eprintln!(
                "knockctl: knock: {why}\n  help: is the sequence right, and does the service listen? If the gate lets you \
                 pass, a packet filter behind it may not: `knockctl explain` on the server names its rule"
            );
        })
        .ok()
}

/// Knocks all `addresses` (their ports do not count), each step on every address before the next
/// step, and returns those that could not be knocked to the end. An address that fails is left
/// out of the later steps: its sequence is broken.
///
/// # Errors
///
/// If `out` takes no more text.
pub fn knock(
    addresses: &[SocketAddr],
    steps: &[Port],
    options: &KnockOptions,
    out: &mut dyn Write,
) -> io::Result<Vec<Failure>> {
    let mut sound = addresses.to_vec();
    let mut failures = Vec::new();
    for (index, &step) in steps.iter().enumerate() {
        if index > 0 {
            thread::sleep(options.delay);
        }
        let mut next = Vec::with_capacity(sound.len());
        for mut address in sound {
            address.set_port(step.number);
            if options.verbose {
                writeln!(out, "hitting {} {}:{}", transport_name(step.transport), address.ip(), step.number)?;
            }
            match hit_from(&options.source, address, step.transport) {
                Ok(()) => next.push(address),
                Err(error) => failures.push(Failure { address, step, error }),
            }
        }
        sound = next;
        if sound.is_empty() {
            break;
        }
    }
    out.flush()?;
    Ok(failures)
}

#[cfg(test)]
mod tests;
