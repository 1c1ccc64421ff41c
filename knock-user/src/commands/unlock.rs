//! `knockctl unlock`: ends lockouts before their time.

use std::io::Write;

use anyhow::Result;
use knock_common::addr::Addr;

use super::source;
use crate::exit::Exit;
use crate::kernel::{LockoutEntry, State, format_site};
use crate::paths::Paths;

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
        Some(text) => vec![site_of(text, &state.lockouts()?, paths)?],
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

/// The site that is meant: as `status` shows it, also on an interface that is gone, or by an address in it.
fn site_of(text: &str, lockouts: &[LockoutEntry], paths: &Paths) -> Result<Addr> {
    match lockouts.iter().find(|entry| format_site(entry.site) == text) {
        Some(entry) => Ok(entry.site),
        None => source::parse(text.strip_suffix("/64").unwrap_or(text), paths),
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::{no_pins, parse};
    use super::*;

    #[test]
    fn a_site_is_meant_as_it_is_shown_or_by_an_address() {
        let gone = Addr::from("fe80::7".parse::<std::net::IpAddr>().unwrap()).scoped(u32::MAX).site();
        let lockouts = [LockoutEntry { site: gone, until: 1 }];
        assert_eq!(site_of("fe80::%4294967295/64", &lockouts, &no_pins()).unwrap(), gone);
        assert!(site_of("fe80::%4294967295/64", &[], &no_pins()).is_err());
        assert_eq!(site_of("2001:db8::/64", &lockouts, &no_pins()).unwrap(), parse("2001:db8::").unwrap());
        assert_eq!(site_of("192.0.2.7", &lockouts, &no_pins()).unwrap(), parse("192.0.2.7").unwrap());
    }
}
