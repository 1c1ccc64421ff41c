//! Sessions over link-local addresses that stood before the gate did: their sockets are bound to a device that lies on
//! that with the gate, where no look-up finds them.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::devices::{BOND, VLAN, WIRES, vlan};
use tests::lab::{Host, Line};

use super::super::flows::assert_denied;
use super::{DROP, FREE_PORT, Ground, config, stacked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::devices::standing";
        a_link_local_session_over_a_vlan_goes_on_when_the_gate_comes_below,
        a_link_local_session_over_a_vlan_on_a_bond_goes_on_when_the_gate_comes_below,
    ]
}

/// A gate on these interfaces cuts nothing that stood.
fn assert_cuts_none(ground: &mut Ground, interfaces: &[&str]) -> Result<()> {
    let to = ground.link(FREE_PORT)?;
    let mut line = Line::tcp(Host::Client, to)?;
    line.echo()?;
    ground.world.start(&DROP.of(config(interfaces, "native")))?;
    line.echo().with_context(|| format!("the gate on {interfaces:?}"))?;
    assert_denied(Host::Client, to, DROP.denied()[0])?;
    line.echo()?;
    ground.world.command(&["unload"]).map(drop)
}

fn a_link_local_session_over_a_vlan_goes_on_when_the_gate_comes_below() -> Result<()> {
    assert_cuts_none(&mut Ground::over(VLAN, 1, || vlan(VLAN, WIRES[0]))?, &WIRES[..1])
}

fn a_link_local_session_over_a_vlan_on_a_bond_goes_on_when_the_gate_comes_below() -> Result<()> {
    let mut ground = stacked::ground()?;
    assert_cuts_none(&mut ground, &[BOND])?;
    assert_cuts_none(&mut ground, &WIRES)
}
