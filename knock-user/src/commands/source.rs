//! Source addresses on the command line.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, bail};
use ipnet::IpNet;
use knock_common::addr::Addr;

use crate::host::scope;
use crate::kernel::scope_meant;
use crate::paths::Paths;

/// Reads one address; a v4-mapped one is that IPv4 address, a link-local one belongs to the interface that the gate
/// of these pins knows it by.
///
/// # Errors
///
/// A network, a name, the unset address: with the remedy.
pub fn parse(text: &str, paths: &Paths) -> Result<Addr> {
    if let Some((ip, interface)) = text.split_once('%') {
        return on_link(text, ip, interface, paths);
    }
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_unspecified() => {
            bail!("{text}: nobody has this address: name one, or write networks into options.trusted")
        }
        Ok(ip) if Addr::from(ip).scoped(1).is_zoneless() => Err(zoneless(text)),
        Ok(ip) if Addr::from(ip).is_link_local() => {
            bail!("{text}: a link-local address: say on which interface, such as {text}%eth0")
        }
        Ok(ip) => Ok(ip.into()),
        Err(_) if text.parse::<IpNet>().is_ok() => {
            bail!("{text}: a network: name one address of it, or write it into options.trusted and reload")
        }
        Err(_) => bail!("{text}: no IP address: write it as 192.0.2.7 or 2001:db8::7"),
    }
}

/// A link-local address and its interface, as `ip` and `ssh` write it.
fn on_link(text: &str, ip: &str, interface: &str, paths: &Paths) -> Result<Addr> {
    match ip.parse::<IpAddr>().map(Addr::from) {
        Ok(addr) if addr.is_link_local() => match scope::index_of(interface) {
            Ok(index) => {
                let scoped = addr.scoped(scope_meant(index, paths).with_context(|| text.to_owned())?);
                if scoped.is_zoneless() { Err(zoneless(text)) } else { Ok(scoped) }
            }
            Err(_) => bail!("{text}: no interface is called {interface}: `ip link` lists them"),
        },
        Ok(_) => bail!("{text}: only link-local addresses belong to an interface: leave out the % and what follows"),
        Err(_) => bail!("{text}: no IP address: write it as fe80::7%eth0"),
    }
}

/// Rule 15: one that could be granted on no interface alone.
fn zoneless(text: &str) -> anyhow::Error {
    anyhow!(
        "{text}: a link-local address whose second 32 bits are not zero, as RFC 4291 has them: no grant can be for it. \
         Let its host use one of fe80::/64, or write its network into options.trusted and reload"
    )
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;

    /// Pins of no gate.
    pub fn no_pins() -> Paths {
        Paths::below(Path::new("/nothing-here"))
    }

    /// The address, where there is no gate.
    pub fn parse(text: &str) -> Result<Addr> {
        super::parse(text, &no_pins())
    }

    #[test]
    fn a_mapped_address_is_ipv4() {
        assert_eq!(parse("::ffff:192.0.2.7").unwrap(), parse("192.0.2.7").unwrap());
        assert_eq!(IpAddr::from(parse("2001:db8::7").unwrap()).to_string(), "2001:db8::7");
    }

    #[test]
    fn a_link_local_address_has_an_interface() {
        for text in ["fe80::7%lo", "fe80::7%1"] {
            assert_eq!(parse(text).unwrap().interface(), 1);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_remedy() {
        for (text, remedy) in [
            ("192.0.2.0/24", "options.trusted"),
            ("2001:db8::/32", "options.trusted"),
            ("0.0.0.0", "options.trusted"),
            ("::", "options.trusted"),
            ("fe80::1", "fe80::1%eth0"),
            ("fe80::1%nothing-here", "ip link"),
            ("fe80::1%4294967295", "ip link"),
            ("fe80::1%0", "ip link"),
            ("fe80::1%", "ip link"),
            ("2001:db8::1%lo", "leave out the %"),
            ("fe80:0:1:2::1%lo", "fe80::/64"),
            ("fe80:0:1:2::1", "fe80::/64"),
            ("192.0.2.7%lo", "leave out the %"),
            ("host%lo", "fe80::7%eth0"),
            ("host.example", "write it as"),
            ("192.0.2", "write it as"),
            ("", "write it as"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
