//! The client: `knockctl knock HOST PORT...`. Needs no root, and nothing of the gate but ports.

mod args;
mod hit;
mod resolve;
mod sequence;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;
use std::{io, thread};

use anyhow::{Context, bail};

pub use self::args::KnockArgs;
pub use self::hit::hit;
pub use self::resolve::{Family, resolve};
pub use self::sequence::parse_sequence;

use crate::settings::{Port, PortNames, transport_name};

/// How to knock.
#[derive(Clone, Copy, Debug)]
pub struct KnockOptions {
    /// Pause between two steps.
    pub delay: Duration,
    /// Say each hit.
    pub verbose: bool,
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

/// Knocks for a user: resolves, knocks, says on standard error what did not go.
///
/// # Errors
///
/// If the arguments make no sense, the host has no address, or none of its addresses could be
/// knocked to the end.
pub fn run(args: &KnockArgs) -> anyhow::Result<()> {
    let steps = parse_sequence(&args.ports, args.udp, &PortNames::of_host())?;
    let addresses = resolve(&args.host, args.family())?;
    let options = KnockOptions { delay: args.delay(), verbose: args.verbose };
    let failures = knock(&addresses, &steps, options, &mut io::stdout().lock()).context("knock: standard output")?;
    for failure in &failures {
        let Failure { address, step, error } = failure;
        eprintln!("knockctl: knock: {}: {step}: {error}", address.ip());
    }
    if failures.len() == addresses.len() {
        bail!(
            "knock: {}: no address could be knocked; is there a route to it, and do no local rules forbid it?",
            args.host
        );
    }
    Ok(())
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
    options: KnockOptions,
    out: &mut impl Write,
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
            match hit(address, step.transport) {
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
