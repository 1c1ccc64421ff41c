//! `knockctl unlock`: ends lockouts before their time.

use std::io::Write;

use anyhow::Result;

use super::source;
use crate::exit::Exit;
use crate::firewall::{Paths, State, format_site};

/// Arguments of `knockctl unlock`.
#[derive(clap::Args, Clone, Debug)]
pub struct UnlockArgs {
    /// The address; of an IPv6 address its whole /64, which is locked out together
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub ip: Option<String>,
    /// End every lockout
    #[arg(long)]
    pub all: bool,
}

/// Removes the lockouts. What was done is said even if a later removal fails.
///
/// # Errors
///
/// No address, nothing loaded, not root.
pub fn run(args: &UnlockArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    let state = State::open(paths)?;
    let sites = match &args.ip {
        // A network as `status` shows it.
        Some(text) => vec![source::parse(text.strip_suffix("/64").unwrap_or(text))?],
        None => state.lockouts()?.into_iter().map(|entry| entry.site).collect(),
    };
    let mut found = false;
    for site in sites {
        if state.let_off(site)? {
            found = true;
            writeln!(out, "{}: let off", format_site(site))?;
        }
    }
    if !found {
        let about = args.ip.as_ref().map_or_else(String::new, |ip| format!("{ip}: "));
        writeln!(out, "{about}not locked out")?;
    }
    Ok(if found { Exit::Done } else { Exit::Negative })
}
