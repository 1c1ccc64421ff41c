//! `knockctl revoke`: takes grants away, under whatever prefix length they were written.

use std::io::Write;

use anyhow::Result;
use knock_common::abi::grant::{GrantKey, HOST_BITS, Prefix};
use knock_common::abi::rules::{MAX_PREFIXES, Name, Service};
use knock_common::addr::Addr;

use super::cut::{self, Cut};
use super::source;
use crate::exit::Exit;
use crate::kernel::{GrantEntry, State};
use crate::paths::Paths;
use crate::status::service;

/// Arguments of `knockctl revoke`.
#[derive(clap::Args, Clone, Debug)]
pub struct RevokeArgs {
    /// The address, or a network that `status` shows as a grant's source
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub ip: Option<String>,
    /// One service only (default: all services)
    #[arg(short, long)]
    pub service: Option<String>,
    /// Take away every grant
    #[arg(long)]
    pub all: bool,
    /// End their connections with protected ports as well: sockets of this host, and what is only forwarded
    #[arg(long)]
    pub cut: bool,
}

/// Removes the grants. What was done is said even if a later removal fails.
///
/// # Errors
///
/// No address, no such service, nothing loaded, not root.
pub fn run(args: &RevokeArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    let mut said = String::new();
    let mut found = false;
    let outcome = revoke(args, paths, &mut said, &mut found);
    out.write_all(said.as_bytes())?;
    outcome.map(|()| if found { Exit::Done } else { Exit::Negative })
}

fn revoke(args: &RevokeArgs, paths: &Paths, said: &mut String, found: &mut bool) -> Result<()> {
    let mut state = State::open_to_change(paths)?;
    let grants = state.grants()?;
    let meant = Meant::among(args.ip.as_deref(), &grants, paths)?;
    let services = state.services()?;
    let tag = match &args.service {
        Some(name) => service::choose(&services, Some(name))?.first().map(|service| service.tag),
        None => None,
    };
    for entry in grants.iter().filter(|entry| meant.covers(entry) && tag.is_none_or(|tag| entry.key.service == tag)) {
        // It may have ended by itself a moment ago.
        if state.revoke(&exactly(&entry.key), entry.key.source)? {
            *said += &format!("{}: {}: revoked\n", entry.source(), service::name(&services, entry.key.service));
            *found = true;
        }
    }
    let about: Vec<&str> = [args.ip.as_deref(), args.service.as_deref()].into_iter().flatten().collect();
    let say = |what: String| about.iter().copied().chain([what.as_str()]).collect::<Vec<_>>().join(": ") + "\n";
    if !*found {
        *said += &say("no grant".to_owned());
    }
    if args.cut {
        let Cut { ended, forwarded, failed } = cut::cut(&mut state, |source| meant.holds(source), tag)?;
        *said += &say(match ended {
            0 => "no connection".to_owned(),
            some => format!("{} cut", super::count(some, "connection")),
        });
        if forwarded > 0 {
            let (count, go) = (super::count(forwarded, "connection"), if forwarded == 1 { "goes" } else { "go" });
            *said += &say(format!("{count} that this host only forwards {go} on: end them where they end"));
        }
        *found |= ended > 0;
        failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Whose grants are meant.
enum Meant {
    Everybody,
    Address(Addr),
    /// A network, as a grant's source is written.
    Network(Addr, u32),
}

impl Meant {
    fn among(text: Option<&str>, grants: &[GrantEntry], paths: &Paths) -> Result<Self> {
        let Some(text) = text else { return Ok(Self::Everybody) };
        // Also on an interface that is gone.
        match grants.iter().find(|entry| entry.source() == text).map(|entry| entry.key) {
            Some(GrantKey { source, bits: HOST_BITS, .. }) => Ok(Self::Address(source)),
            Some(GrantKey { source, bits, .. }) => Ok(Self::Network(source, bits)),
            None => source::parse(text, paths).map(Self::Address),
        }
    }

    /// True if connections of this source are meant.
    fn holds(&self, source: &Addr) -> bool {
        match self {
            Self::Everybody => true,
            Self::Address(meant) => meant == source,
            Self::Network(base, bits) => GrantKey::new(0, source, &Prefix::new(*bits)).source == *base,
        }
    }

    fn covers(&self, entry: &GrantEntry) -> bool {
        let key = &entry.key;
        match self {
            Self::Everybody => true,
            Self::Address(source) => GrantKey::new(key.service, source, &Prefix::new(key.bits)) == *key,
            Self::Network(base, bits) => (&key.source, &key.bits) == (base, bits),
        }
    }
}

/// A service that has this one key, so that grants of a service that a reload removed, or under a
/// prefix length that it no longer has, can be taken away too.
fn exactly(key: &GrantKey) -> Service {
    let mut prefixes = [Prefix::NONE; MAX_PREFIXES];
    prefixes[0] = Prefix::new(key.bits);
    Service { name: Name::EMPTY, tag: key.service, prefixes_v4: prefixes, prefixes_v6: prefixes, keepalive: 0 }
}

#[cfg(test)]
mod tests {
    use knock_common::abi::grant::Grant;

    use super::super::source::tests::{no_pins, parse};
    use super::*;

    fn entry(source: &str, bits: u32) -> GrantEntry {
        let key = GrantKey::new(1, &parse(source).unwrap(), &Prefix::new(bits));
        GrantEntry { key, grant: Grant { until: 1, origin: 1, ..Grant::NONE } }
    }

    #[test]
    fn an_address_means_every_grant_that_covers_it() {
        let grants = [entry("2001:db8::7", HOST_BITS), entry("2001:db8::7", 64), entry("192.0.2.7", 120)];
        let covered = |text: &str| {
            let meant = Meant::among(Some(text), &grants, &no_pins()).unwrap();
            grants.iter().map(|entry| meant.covers(entry)).collect::<Vec<_>>()
        };
        assert_eq!(covered("2001:db8::7"), [true, true, false]);
        assert_eq!(covered("2001:db8::8"), [false, true, false]);
        assert_eq!(covered("::ffff:192.0.2.9"), [false, false, true]);
        assert_eq!(covered("192.0.2.0/24"), [false, false, true]);
        assert!(Meant::among(Some("198.51.100.0/24"), &grants, &no_pins()).is_err());
        assert!(grants.iter().all(|entry| Meant::Everybody.covers(entry)));
    }

    #[test]
    fn a_grant_on_an_interface_that_is_gone_is_meant_as_it_is_shown() {
        let gone = Addr::from("fe80::7".parse::<std::net::IpAddr>().unwrap()).scoped(u32::MAX);
        let of =
            |bits| GrantEntry { key: GrantKey::new(1, &gone, &Prefix::new(bits)), ..entry("192.0.2.7", HOST_BITS) };
        let grants = [of(HOST_BITS), of(64)];
        let covered = |text: &str| {
            let meant = Meant::among(Some(text), &grants, &no_pins())?;
            Ok::<_, anyhow::Error>(grants.iter().map(|entry| meant.covers(entry)).collect::<Vec<_>>())
        };
        assert_eq!(covered("fe80::7%4294967295").unwrap(), [true, true]);
        assert_eq!(covered("fe80::%4294967295/64").unwrap(), [false, true]);
        assert!(covered("fe80::8%4294967295").is_err());
    }

    #[test]
    fn a_link_local_address_is_meant_on_its_interface_alone() {
        let meant = Meant::among(Some("fe80::7%lo"), &[], &no_pins()).unwrap();
        let source = parse("fe80::7%lo").unwrap();
        assert!(meant.holds(&source));
        assert!(!meant.holds(&source.on_wire()) && !meant.holds(&source.scoped(2)));
    }

    #[test]
    fn the_stand_in_finds_the_key_again() {
        for entry in [entry("2001:db8::7", 64), entry("192.0.2.7", 120), entry("192.0.2.7", HOST_BITS)] {
            let service = exactly(&entry.key);
            assert_eq!(GrantKey::new(service.tag, &entry.key.source, &service.prefixes_v4[0]), entry.key);
        }
    }
}
