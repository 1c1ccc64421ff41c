//! The address that knocks come from, as people write it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// An address of this host; a link-local one with its interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceAddress {
    /// The address.
    pub ip: IpAddr,
    /// The interface behind a `%`.
    pub zone: Option<String>,
}

impl SourceAddress {
    /// The number of its interface, or of the one that is named beside it; 0 where it needs none.
    ///
    /// # Errors
    ///
    /// With the right form, if a link-local address comes without an interface, or with one that this host does not have.
    pub fn scope(&self, interface: Option<&str>) -> Result<u32, String> {
        let ip = match self.ip {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => ip,
            _ => return Ok(0),
        };
        let Some(zone) = self.zone.as_deref().or(interface) else {
            return Err(format!("a link-local address needs its interface: --source {ip}%eth0"));
        };
        let found = (format!("{ip}%{zone}"), 0).to_socket_addrs().ok().and_then(|mut found| found.next());
        match found {
            Some(SocketAddr::V6(address)) if address.scope_id() != 0 => Ok(address.scope_id()),
            _ => Err(format!("this host has no interface {zone}; `ip link` lists them")),
        }
    }
}

impl FromStr for SourceAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "write an address of this host, such as 192.0.2.2, or fe80::1%eth0 for a link-local one";
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let (address, zone) = match bare.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (bare, None),
        };
        let Ok(ip) = address.parse::<IpAddr>() else {
            if let Ok(address) = bare.parse::<SocketAddr>() {
                return Err(format!("a source has no port: write {}", address.ip()));
            }
            return Err(match bare.split_once('/') {
                Some((address, _)) if address.parse::<IpAddr>().is_ok() => format!("no network: write {address}"),
                _ if bare.contains([':', '.']) => format!("no address: {FORMS}"),
                _ => format!("no address: {FORMS}; --interface {bare} is for the name of an interface"),
            });
        };
        match (zone, ip) {
            (None, _) => Ok(Self { ip, zone: None }),
            (Some(""), _) => Err(format!("no interface behind the %: {FORMS}")),
            (Some(zone), IpAddr::V6(v6)) if v6.is_unicast_link_local() => Ok(Self { ip, zone: Some(zone.to_owned()) }),
            (Some(zone), _) => {
                Err(format!("only a link-local address has an interface: write {ip}, and --interface {zone}"))
            }
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, "%{zone}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_with_its_interface() {
        for (text, shown) in [
            ("192.0.2.2", "192.0.2.2"),
            ("fe80::1%lo", "fe80::1%lo"),
            ("[fe80::1%lo]", "fe80::1%lo"),
            ("fe80::1", "fe80::1"),
        ] {
            assert_eq!(text.parse::<SourceAddress>().unwrap().to_string(), shown);
        }
        let scope = |text: &str, interface| text.parse::<SourceAddress>().unwrap().scope(interface);
        assert_eq!(scope("fe80::1%lo", None), Ok(1));
        assert_eq!(scope("fe80::1", Some("lo")), Ok(1));
        assert_eq!(scope("2001:db8::1", Some("lo")), Ok(0));
        assert_eq!(
            scope("fe80::1", None).unwrap_err(),
            "a link-local address needs its interface: --source fe80::1%eth0"
        );
        assert!(scope("fe80::1%no-such-if", None).unwrap_err().starts_with("this host has no interface no-such-if"));
    }

    #[test]
    fn what_is_no_source_is_told_the_right_form() {
        for (text, said) in [
            ("192.0.2.2:5000", "a source has no port: write 192.0.2.2"),
            ("[2001:db8::1]:5000", "a source has no port: write 2001:db8::1"),
            ("192.0.2.2/24", "no network: write 192.0.2.2"),
            ("eth0", "--interface eth0"),
            ("192.0.2", "fe80::1%eth0"),
            ("fe80::1%", "no interface behind the %"),
            ("192.0.2.2%eth0", "write 192.0.2.2, and --interface eth0"),
        ] {
            let error = text.parse::<SourceAddress>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
