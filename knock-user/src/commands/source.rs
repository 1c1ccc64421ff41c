//! Source addresses on the command line.

use std::net::IpAddr;

use anyhow::{Result, bail};
use ipnet::IpNet;
use knock_common::addr::Addr;

/// Reads one address; a v4-mapped one is that IPv4 address.
///
/// # Errors
///
/// A network, a name, the unset address: with the remedy.
pub fn parse(text: &str) -> Result<Addr> {
    match text.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_unspecified() => {
            bail!("{text}: nobody has this address: name one, or write networks into options.trusted")
        }
        Ok(ip) => Ok(ip.into()),
        Err(_) if text.parse::<IpNet>().is_ok() => {
            bail!("{text}: a network: name one address of it, or write it into options.trusted and reload")
        }
        Err(_) if text.contains('%') => bail!("{text}: no IP address: leave out the % and what follows"),
        Err(_) => bail!("{text}: no IP address: write it as 192.0.2.7 or 2001:db8::7"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_ipv4() {
        assert_eq!(parse("::ffff:192.0.2.7").unwrap(), parse("192.0.2.7").unwrap());
        assert_eq!(IpAddr::from(parse("2001:db8::7").unwrap()).to_string(), "2001:db8::7");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_remedy() {
        for (text, remedy) in [
            ("192.0.2.0/24", "options.trusted"),
            ("2001:db8::/32", "options.trusted"),
            ("0.0.0.0", "options.trusted"),
            ("::", "options.trusted"),
            ("fe80::1%eth0", "leave out the %"),
            ("host.example", "write it as"),
            ("192.0.2", "write it as"),
            ("", "write it as"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
