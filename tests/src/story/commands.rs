//! `knockctl allow` and `revoke`, and the close door.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::world::CLOSE;
use super::{Teller, World};
use crate::lab::{Host, Status};

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    world.gate()?;
    let client = world.address(Host::Client);
    let address = client.to_string();
    teller.step("`knockctl allow`, without a knock", "open, 1 grant", || {
        world.command(&["allow", &address])?;
        world.state()
    });
    teller.step("its origin, as `knockctl status --json` has it", "command", || {
        let status = Status::read()?;
        let grants = status.grants_of(client);
        Ok(grants.iter().filter_map(|grant| grant["origin"].as_str()).collect::<Vec<_>>().join(", ").into())
    });
    teller.step("`knockctl revoke`", "silent, no grant", || {
        world.command(&["revoke", &address])?;
        world.state()
    });
    let window = Duration::from_secs(1);
    teller.step("`knockctl allow --for 1s`", "silent when the window ends", || {
        let asked = Instant::now();
        world.command(&["allow", &address, "--for", "1s"])?;
        // It began after this moment, by as long as the program takes to start.
        world.closing(asked, window)
    });
    teller.step("a knock, then the door that closes", "open, 1 grant; silent, no grant", || {
        world.knock_open()?;
        let open = world.state()?;
        world.knock(&CLOSE, Duration::ZERO)?;
        let closed = world.state()?;
        Ok(format!("{}; {}", open.what(), closed.what()).into())
    });
    Ok(())
}
