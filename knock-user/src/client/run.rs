//! `knockctl knock` for a user: the knock, and what is to come then.

use std::io::{self, Write};
use std::thread;

use anyhow::{Context as _, Result};

use super::args::KnockArgs;
use super::plan::{Act, Plan};
use super::reach::{Goal, reach};
use super::round::Round;
use super::then::{self, Destination};
use super::{keep_open, list, pipe};
use crate::exit::Exit;

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
            then::run(then, &Destination { host: &plan.host, address, port: plan.port })
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
            then::run(then, &Destination { host: &plan.host, address, port: plan.port })
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
