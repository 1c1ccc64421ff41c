//! An address on a command line that has an option of its own for the interface.

use std::net::IpAddr;

/// Reads an address without an interface.
///
/// # Errors
///
/// What is none: with the remedy.
pub fn bare_address(text: &str) -> Result<IpAddr, String> {
    match text.split_once('%') {
        Some((ip, interface)) if ip.parse::<IpAddr>().is_ok() => {
            Err(format!("an address with an interface: write {ip}, and --interface {interface}"))
        }
        _ => text.parse().map_err(|_| "no IP address: write it as 192.0.2.7 or 2001:db8::7".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_belongs_into_its_own_option() {
        assert_eq!(bare_address("fe80::1"), Ok("fe80::1".parse().unwrap()));
        for (text, remedy) in [("fe80::1%lo", "write fe80::1, and --interface lo"), ("a%lo", "no IP"), ("", "no IP")] {
            let error = bare_address(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
