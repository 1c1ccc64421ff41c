//! One knock: each step on every address before the next step.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::hit::hit_from;
use super::source::Source;
use crate::syntax::{Port, transport_name};

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
