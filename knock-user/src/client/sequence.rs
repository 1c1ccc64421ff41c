//! Ports on the command line -> steps.

use anyhow::{anyhow, bail};
use knock_common::packet::Transport;

use super::target::right_form;
use crate::syntax::{Port, PortNames, PortRange};

/// Reads the ports in order; a range is a step for each of its ports. With `udp`, all are UDP. Between ports may be
/// commas, as in a config.
///
/// # Errors
///
/// Names the first text that is no port, and the remedy.
pub fn parse_sequence(ports: &[String], udp: bool, names: &PortNames) -> anyhow::Result<Vec<Port>> {
    let mut steps = Vec::new();
    for all in ports {
        for text in all.split(',') {
            if text.is_empty() {
                bail!("knock: {all}: no port beside a comma; write 7000,8000/udp, or 7000 8000/udp");
            }
            let range = PortRange::parse(text, names).map_err(|error| {
                let help = right_form(text).unwrap_or_else(|| error.help().to_owned());
                anyhow!("knock: {text}: {error}; {help}")
            })?;
            steps.extend(range.ports().map(|port| if udp { Port { transport: Transport::Udp, ..port } } else { port }));
        }
    }
    Ok(steps)
}
