//! The source of a rule, its destination, and its ports.

use std::net::IpAddr;

use knock_common::packet::Transport;

use crate::config::{PortNames, PortRange, transport_name};

/// What knockd puts the source's address in place of.
pub const IP: &str = "%IP%";

/// Why a rule without a source has no counterpart.
pub const EVERYBODY: &str = "it lets everybody in, not just %IP%";

/// `%IP%`, perhaps with a prefix length.
///
/// # Errors
///
/// If it is another address.
pub fn source(text: &str) -> Result<Option<u8>, String> {
    if matches!(text, "any" | "0.0.0.0/0" | "::/0") {
        return Err(EVERYBODY.to_owned());
    }
    let elsewhere = || format!("it is about the source {text}, not just {IP}");
    match text.strip_prefix(IP).ok_or_else(elsewhere)? {
        "" | "/32" | "/128" | "/255.255.255.255" => Ok(None),
        rest => {
            let bits: Option<u8> = rest.strip_prefix('/').and_then(|bits| bits.parse().ok());
            bits.filter(|bits| (1..128).contains(bits)).map(Some).ok_or_else(elsewhere)
        }
    }
}

/// The one address that is the destination; `None` if every one is.
///
/// # Errors
///
/// If it is no address.
pub fn destination(text: &str) -> Result<Option<IpAddr>, String> {
    if matches!(text, "any" | "0.0.0.0/0" | "::/0") {
        return Ok(None);
    }
    let address = text.strip_suffix("/32").or_else(|| text.strip_suffix("/128")).unwrap_or(text);
    let address = address.parse().map_err(|_| format!("its destination {text} is not one address of this host"))?;
    Ok(Some(address))
}

/// Ports as iptables and ufw have them: `22`, `ssh`, `6000:6010`, with commas between.
///
/// # Errors
///
/// If one is no port.
pub fn ports(text: &str, transport: Transport, names: &PortNames) -> Result<Vec<PortRange>, String> {
    text.split(',').map(|port| one(&port.replace(':', "-"), transport, names)).collect()
}

/// One port, or a range with a dash.
///
/// # Errors
///
/// If it is none.
pub fn one(text: &str, transport: Transport, names: &PortNames) -> Result<PortRange, String> {
    if text.contains(['/', ':']) {
        return Err(format!("\"{text}\" is no port"));
    }
    PortRange::parse(&format!("{text}/{}", transport_name(transport)), names).map_err(|error| error.to_string())
}

/// tcp or udp, by name or number.
///
/// # Errors
///
/// For other protocols.
pub fn transport(text: &str) -> Result<Option<Transport>, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" | "6" => Ok(Some(Transport::Tcp)),
        "udp" | "17" => Ok(Some(Transport::Udp)),
        "all" | "any" | "0" => Ok(None),
        _ => Err(format!("protocol {text} has no ports to protect")),
    }
}

/// An interface; one that ends in `+` means all that begin so, as iptables has it.
pub fn interface(text: &str) -> String {
    text.strip_suffix('+').map_or_else(|| text.to_owned(), |stem| format!("{stem}*"))
}
