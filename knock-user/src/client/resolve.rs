//! A host's name -> its addresses.

use std::net::{SocketAddr, ToSocketAddrs};

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
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if wanted && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match (addresses.is_empty(), family) {
        (false, _) => {}
        (true, Family::V4) => bail!("knock: {host}: no IPv4 address; leave -4 out to knock the others"),
        (true, Family::V6) => bail!("knock: {host}: no IPv6 address; leave -6 out to knock the others"),
        (true, Family::Any) => bail!("knock: {host}: no address"),
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
