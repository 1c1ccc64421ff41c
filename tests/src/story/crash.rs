//! `kill -9` of the daemon, the time without it, and its return.

use anyhow::{Context, Result};

use super::world::CMD_TIMEOUT;
use super::{Happened, Teller, World};
use crate::lab::{Flood, Host, SSH_PORT, Status};

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    world.gate()?;
    world.session()?;
    // In case the session was opened just now: its grant is none of this chapter's.
    world.knock_open()?;
    world.revoke()?;
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));

    teller.step("`kill -9` of the daemon", "gone", || {
        world.gate()?.kill()?;
        let gone = Status::read()?.daemon().is_none();
        Ok(if gone { "gone" } else { "status says that it lives" }.into())
    });
    teller.step("a new connection", "silent, no grant", || world.state());
    teller.step("the session", "the session echoes", || world.echo());
    teller.step("the right knock", "open, 1 grant", || {
        world.knock_open()?;
        world.state()
    });
    let (knocked, ()) = world.knock_and(|| Ok(()))?;
    let title = format!("new connections, all through the window of {CMD_TIMEOUT:?}");
    teller.step(&title, "silent when the window ends", || world.closing(knocked, CMD_TIMEOUT));

    world.command(&["allow", &world.address(Host::Client).to_string(), "--for", "1m"])?;
    teller.step("`knockctl run` again, under a grant of a minute", "the gate stands", || {
        world.gate()?;
        Ok("the gate stands".into())
    });
    teller.step("the grant is still there", "open, 1 grant", || world.state());
    teller.step("the session", "the session echoes", || world.echo());
    teller.step("the stranger, who knocked on 2222/tcp all the time", "0 connections", || {
        let flooded = flood.stop()?;
        Ok(Happened::note(format!("{} connections", flooded.opened), format!("{} SYNs", flooded.sent)))
    });
    world.revoke().context("the grant of this chapter")
}
