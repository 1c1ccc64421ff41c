//! The source of a rule, and its ports.

use knock_common::packet::Transport;

use crate::config::{PortNames, PortRange, transport_name};

/// What knockd puts the source's address in place of.
const IP: &str = "%IP%";

/// `%IP%`, perhaps with a prefix length.
///
/// # Errors
///
/// If it is another address.
pub fn source(text: &str) -> Result<Option<u8>, String> {
    let elsewhere = || format!("it is about the source {text}, not just {IP}");
    match text.strip_prefix(IP).ok_or_else(elsewhere)? {
        "" | "/32" | "/128" | "/255.255.255.255" => Ok(None),
        rest => {
            let bits: Option<u8> = rest.strip_prefix('/').and_then(|bits| bits.parse().ok());
            bits.filter(|bits| (1..128).contains(bits)).map(Some).ok_or_else(elsewhere)
        }
    }
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
