//! Networks that never need to knock.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The IPv4 addresses as the gate keeps them, `::ffff:0:0/96`.
const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);

/// Reads `192.0.2.0/24`, `2001:db8::/32` or one address. The error is a message and a remedy.
pub(super) fn parse(text: &str) -> Result<IpNet, (String, String)> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            let message = format!("\"{}\" is no network", text.escape_debug());
            (message, "write an address and a prefix length, such as 192.0.2.0/24 or 2001:db8::/32".to_owned())
        })?,
    };
    if net.addr() != net.network() {
        let message = format!("{net} has bits set behind its prefix");
        return Err((message, format!("write the network {}, or the one address {}", net.trunc(), net.addr())));
    }
    unmap(net)
}

/// A v4-mapped network is an IPv4 network. One that holds all of them and more would trust all of
/// IPv4, which nobody means who writes IPv6.
fn unmap(net: IpNet) -> Result<IpNet, (String, String)> {
    let IpNet::V6(v6) = net else { return Ok(net) };
    if v6.prefix_len() < 96 && v6.contains(&MAPPED) {
        let message = format!("{net} holds all IPv4 addresses as well (::ffff:0:0/96)");
        return Err((message, "write 2000::/3 for all public IPv6 addresses".to_owned()));
    }
    Ok(v4_part(v6).map_or(net, IpNet::V4))
}

fn v4_part(net: Ipv6Net) -> Option<Ipv4Net> {
    let v4 = net.addr().to_ipv4_mapped()?;
    Ipv4Net::new(v4, net.prefix_len().checked_sub(96)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, meant) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "192.0.2.0/33", "192.0.2", "2001:db8::/129", "host", "192.0.2.7/24", "::/0", "::/64"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
