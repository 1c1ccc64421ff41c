//! A bond with the gate on it, in the drivers of its ports.

use anyhow::Result;
use serde_json::Value;
use tests::kernel::Bare;
use tests::lab::devices::{BOND, WIRES, bond, enslaved, second_wire, wait_for_server};
use tests::lab::{Host, Probe, TIMEOUT, ip, until};
use tests::trial::{Trial, trials};

use super::super::flows::assert_denied;
use super::{Ground, REJECT, config};

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["e2e::devices::bond"; a_port_that_joins_the_bond_later_has_the_gate]
}

/// What the kernel says of the server's bond.
fn bonding() -> Result<Value> {
    let json = Host::Server.must(&["ip", "-j", "-d", "link", "show", "dev", BOND])?;
    Ok(serde_json::from_str::<Value>(&json)?[0]["linkinfo"]["info_data"].take())
}

/// The bond hands its program on to whoever joins, and what is denied there is answered.
fn a_port_that_joins_the_bond_later_has_the_gate() -> Result<()> {
    let mut ground = Ground::over(BOND, 1, || bond("mode active-backup", &WIRES[..1]))?;
    let config = config(&[BOND], "native");
    ground.world.start(&REJECT.of(config.clone()))?;
    second_wire()?;
    for host in [Host::Server, Host::Client] {
        ip(host, &enslaved(WIRES[1]))?;
    }
    let _end = Host::Client.enter(|| Bare::load()?.attach(WIRES[1]))?;
    ip(Host::Server, &format!("link set {} down\n", WIRES[0]))?;
    until("the other port", TIMEOUT, || (bonding().ok()?["active_slave"] == WIRES[1]).then_some(()))?;
    wait_for_server(BOND)?;
    // Before a reload looks at all ports.
    assert_denied(Host::Client, ground.ways()[0].service, Probe::Refused)?;
    ground.assert_guards(&config, REJECT)
}
