//! The port is there, and nobody sees it.

use anyhow::Result;

use super::{Teller, World};
use crate::lab::{GATE_STANDS, Host, PATIENCE, SSH_PORT, connect};

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    let port = format!("{SSH_PORT}/tcp");
    teller.step(&format!("without a gate, the client connects to {port}"), "open", || world.port(Host::Client));
    let stands = "listening: eth0 (native), eth1 (native): the gate stands";
    teller.step("`knockctl run` in native mode", stands, || {
        let line = world.gate()?.wait_after(0, GATE_STANDS)?;
        Ok(line.into())
    });
    for host in [Host::Client, Host::Stranger] {
        teller.step(&format!("the {} connects to {port}", host.name()), "silent", || world.port(host));
    }
    teller.step("a knock port looks like any other: 7000/tcp, 7777/tcp", "refused, refused", || {
        let name = |port| connect(Host::Stranger, world.server(port), PATIENCE).map(|(probe, _)| probe.name());
        Ok(format!("{}, {}", name(7000)?, name(7777)?).into())
    });
    Ok(())
}
