//! One knock on all addresses of a plan.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

use super::plan::Plan;
use super::{Failure, Family, knock, resolve};

/// What came of it.
pub(super) struct Round {
    /// The addresses that were knocked to the end, in the resolver's order.
    pub(super) knocked: Vec<SocketAddr>,
    /// The others.
    pub(super) failures: Vec<Failure>,
}

impl Round {
    /// Resolves and knocks; hits are said to `out`.
    ///
    /// # Errors
    ///
    /// If the host has no address, or too few of them could be knocked to the end.
    pub(super) fn make(plan: &Plan, out: &mut dyn Write) -> Result<Self> {
        let Plan { host, family, options, .. } = plan;
        let mut addresses = resolve(host, *family)?;
        addresses.retain(|address| options.source.reaches(address));
        if addresses.is_empty() {
            let source = options.source.address.map(|address| address.to_string()).unwrap_or_default();
            bail!("knock: {host}: no address of the family of {source}; choose another --source");
        }
        let failures = knock(&addresses, &plan.steps, options, out).context("knock: standard output")?;
        let failed = |address: &SocketAddr| failures.iter().any(|failure| failure.address.ip() == address.ip());
        let knocked: Vec<SocketAddr> = addresses.iter().copied().filter(|address| !failed(address)).collect();
        let round = Self { knocked, failures };
        let is = |is: fn(&SocketAddr) -> bool| round.knocked.iter().any(is);
        let enough = match family {
            Family::Both => is(SocketAddr::is_ipv4) && is(SocketAddr::is_ipv6),
            _ => !round.knocked.is_empty(),
        };
        if !enough {
            let which = if *family == Family::Both { "not both families" } else { "no address" };
            let why: Vec<String> = round.failures.iter().map(text).collect();
            bail!(
                "knock: {host}: {which} could be knocked ({}); is there a route to it, and do no local rules forbid it?",
                why.join("; ")
            );
        }
        Ok(round)
    }

    /// The same, and says what failed.
    ///
    /// # Errors
    ///
    /// As [`Self::make`].
    pub(super) fn say(plan: &Plan, out: &mut dyn Write) -> Result<Vec<SocketAddr>> {
        let round = Self::make(plan, out)?;
        for text in round.texts() {
            eprintln!("knockctl: {text}");
        }
        Ok(round.knocked)
    }

    /// The failures, for people.
    pub(super) fn texts(&self) -> Vec<String> {
        self.failures.iter().map(|failure| format!("knock: {}", text(failure))).collect()
    }
}

fn text(failure: &Failure) -> String {
    let Failure { address, step, error } = failure;
    format!("{}: {step}: {error}", address.ip())
}
