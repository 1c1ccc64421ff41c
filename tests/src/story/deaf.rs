//! Wrong orders, sweeps, and knocks that come too late.

use std::time::Duration;

use anyhow::Result;

use super::world::SEQ_TIMEOUT;
use super::{Teller, World};
use crate::lab::Host;

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    world.gate()?;
    let nothing = "silent, no grant";
    let orders: [(&str, &[&str]); 4] = [
        ("the sequence backwards", &["9000/tcp", "8000/udp", "7000/tcp"]),
        ("two steps swapped", &["7000/tcp", "9000/tcp", "8000/udp"]),
        ("TCP where UDP belongs", &["7000/tcp", "8000/tcp", "9000/tcp"]),
        ("another port in between", &["7000/tcp", "8000/udp", "8500/tcp", "9000/tcp"]),
    ];
    for (title, ports) in orders {
        teller.step(&format!("{title}: {}", ports.join(" ")), nothing, || {
            world.knock(ports, Duration::ZERO)?;
            world.state()
        });
    }
    for (title, udp) in [("TCP", false), ("UDP", true)] {
        teller.step(&format!("an ascending sweep of all 65535 {title} ports"), nothing, || {
            let server = world.address(Host::Server).to_string();
            // Past the protected port, to which no packet comes through to be answered.
            let mut args = vec!["knock", "--delay", "0"];
            if udp {
                args.push("--udp");
            }
            args.extend([server.as_str(), "1-65535"]);
            crate::lab::knockctl(Host::Client, &args)?.success()?;
            world.state()
        });
    }
    let pause = SEQ_TIMEOUT / 2 + Duration::from_millis(100);
    let title = format!("the right knock too late: {pause:?} between two knocks");
    teller.step(&title, nothing, || {
        world.knock(&super::world::OPEN, pause)?;
        world.state()
    });
    Ok(())
}
