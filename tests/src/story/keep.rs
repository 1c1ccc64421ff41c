//! `--keep`: the lab stays up, with the gate in it.

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

use super::World;
use super::world::OPEN;
use crate::lab::{Family, Host, SSH_PORT, knockctl_path, sandbox};

/// Who plays.
#[must_use]
pub fn cast() -> String {
    let host = |host: Host| {
        let [v4, v6] = Family::ALL.map(|family| family.address(host));
        format!("{} {v4} {v6}", host.name())
    };
    Host::ALL.map(host).join(", ")
}

/// Says how to enter the lab, and waits for Ctrl-C.
///
/// # Errors
///
/// If the gate does not stand.
pub fn keep(world: &mut World) -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    world.family = Family::V4;
    world.gate()?;

    let id = sandbox::outside_id().unwrap_or_default();
    println!(
        "\nThe lab stays up until Ctrl-C, with the gate of tests/src/lab/lab.toml. From another terminal, as root:\n"
    );
    for host in Host::ALL {
        println!("  # a shell on the {}", host.name());
        println!("  nsenter --target {id} --mount --pid --net=/proc/{id}/root{} sh", host.path().display());
    }
    let (server, knockctl) = (world.address(Host::Server), knockctl_path()?);
    println!("\nOn the client:\n");
    println!("  {} knock -v {server} {}", knockctl.display(), OPEN.join(" "));
    println!("  ssh -F none -i {}/client_key -p {SSH_PORT} root@{server}", sandbox::DIR);
    println!("\nOn the server:\n\n  {} status", knockctl.display());
    signals.wait()?;
    Ok(())
}
