//! A host's name -> its addresses.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail};

/// Which addresses are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// All of them.
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// All of them, and there must be some of IPv4 and some of IPv6.
    Both,
}

impl Family {
    /// As profiles and options have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::V4 => "4",
            Self::V6 => "6",
            Self::Both => "both",
        }
    }
}

/// All addresses of `host`, each once, in the resolver's order. A link-local address needs its
/// interface behind a `%`.
///
/// # Errors
///
/// If the name is not known, or has no address of that family.
pub fn resolve(host: &str, family: Family) -> anyhow::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        bail!("knock: the host has no name; write a name or an address");
    }
    let found = (bare, 0).to_socket_addrs().with_context(|| format!("knock: {host}"))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        let wanted = match family {
            Family::Any | Family::Both => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if wanted && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match (addresses.is_empty(), family) {
        (true, Family::V4) => bail!("knock: {host}: no IPv4 address; leave -4 out to knock the others"),
        (true, Family::V6) => bail!("knock: {host}: no IPv6 address; leave -6 out to knock the others"),
        (true, _) => bail!("knock: {host}: no address"),
        (false, Family::Both) => {
            for (name, is_there) in [
                ("IPv4", addresses.iter().any(SocketAddr::is_ipv4)),
                ("IPv6", addresses.iter().any(SocketAddr::is_ipv6)),
            ] {
                if !is_there {
                    bail!("knock: {host}: no {name} address; leave --both out to knock what there is");
                }
            }
        }
        (false, _) => {}
    }
    let unscoped = |address: &SocketAddr| match address {
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() && v6.scope_id() == 0,
        SocketAddr::V4(_) => false,
    };
    if let Some(address) = addresses.iter().find(|address| unscoped(address)) {
        bail!("knock: {host}: a link-local address needs its interface: {}%eth0", address.ip());
    }
    Ok(addresses)
}

/// The address alone, with its interface if it has one.
#[must_use]
pub fn address_text(address: &SocketAddr) -> String {
    match (address.ip(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) if v6.scope_id() != 0 => format!("{ip}%{}", v6.scope_id()),
        (ip, _) => ip.to_string(),
    }
}
