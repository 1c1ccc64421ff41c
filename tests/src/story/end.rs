//! SIGTERM leaves the gate; `knockctl unload` removes all of it.

use std::path::Path;

use anyhow::Result;

use super::{Teller, World};
use crate::lab::{Host, PINS, SERVER_INTERFACES, knockctl};

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    world.gate()?;
    world.session()?;
    world.knock_open()?;
    world.revoke()?;
    teller.step("SIGTERM to the daemon", "it ends with 0", || {
        let status = world.gate()?.terminate()?;
        Ok(format!("it ends with {}", status.code().unwrap_or(-1)).into())
    });
    teller.step("a new connection", "silent, no grant", || world.state());
    teller.step("`knockctl unload`", "no program, no pins", || {
        world.command(&["unload"])?;
        Ok(format!("{}, {}", programs()?, pins()).into())
    });
    teller.step("`knockctl status`", "exit code 1", || {
        Ok(format!("exit code {}", knockctl(Host::Server, &["status"])?.code).into())
    });
    teller.step("the session", "the session echoes", || world.echo());
    world.session = None;
    for host in [Host::Client, Host::Stranger] {
        teller.step(&format!("the {} connects", host.name()), "open", || world.port(host));
    }
    Ok(())
}

/// What the kernel says of the server's interfaces.
fn programs() -> Result<&'static str> {
    let mut found = false;
    for interface in SERVER_INTERFACES {
        found |= Host::Server.must(&["ip", "link", "show", "dev", interface])?.contains("xdp");
    }
    Ok(if found { "a program" } else { "no program" })
}

fn pins() -> &'static str {
    if Path::new(PINS).exists() { "pins" } else { "no pins" }
}
