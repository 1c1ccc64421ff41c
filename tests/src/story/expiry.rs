//! An ssh session outlives the grant that let it in.

use anyhow::Result;

use super::world::CMD_TIMEOUT;
use super::{Teller, World};
use crate::lab::{Host, Session};

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    let mark = world.gate()?.mark();
    let (knocked, ()) = world.knock_and(|| Ok(()))?;
    teller.step("an ssh session in the window", "the session echoes", || {
        world.session = Some(Session::open(world.family)?);
        world.echo()
    });
    let title = format!("new connections, all through the window of {CMD_TIMEOUT:?}");
    teller.step(&title, "silent when the window ends", || world.closing(knocked, CMD_TIMEOUT));
    let client = world.address(Host::Client);
    teller.step("the log", "ssh2: expired", || {
        world.gate()?.wait_after(mark, &format!("{client}: ssh2: expired"))?;
        Ok("ssh2: expired".into())
    });
    teller.step("the session after that", "the session echoes", || world.echo());
    teller.step("a new connection", "silent, no grant", || world.state());
    Ok(())
}
