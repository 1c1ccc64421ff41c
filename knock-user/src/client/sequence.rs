//! Ports on the command line -> steps.

use anyhow::anyhow;
use knock_common::packet::Transport;

use crate::settings::{Port, PortNames, PortRange};

/// Reads the ports in order; a range is a step for each of its ports. With `udp`, all are UDP.
///
/// # Errors
///
/// Names the first text that is no port, and the remedy.
pub fn parse_sequence(ports: &[String], udp: bool, names: &PortNames) -> anyhow::Result<Vec<Port>> {
    let mut steps = Vec::new();
    for text in ports {
        let range =
            PortRange::parse(text, names).map_err(|error| anyhow!("knock: {text}: {error}; {}", error.help()))?;
        steps.extend(range.ports().map(|port| if udp { Port { transport: Transport::Udp, ..port } } else { port }));
    }
    Ok(steps)
}
