//! A VLAN on a bond, with the gate on the bond.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::devices::{BOND, BOND_VLAN, WIRES, bond, second_wire, tag_frames, vlan};

use super::super::links::assert_place;
use super::{ANSWERS, DROP, Ground, SILENCE, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::devices::stacked";
        a_vlan_on_a_bond_is_gated_on_the_bond,
        a_vlan_on_a_bond_is_gated_without_a_look_up_of_sockets,
        what_is_denied_on_a_vlan_on_a_bond_is_answered_by_the_bond,
    ]
}

/// The frames have their tag.
pub fn ground() -> Result<Ground> {
    let ground = Ground::over(BOND_VLAN, WIRES.len(), || {
        second_wire()?;
        bond("mode active-backup", &WIRES)?;
        vlan(BOND_VLAN, BOND)
    })?;
    for wire in WIRES {
        tag_frames(wire)?;
    }
    Ok(ground)
}

fn a_vlan_on_a_bond_is_gated_on_the_bond() -> Result<()> {
    let mut ground = ground()?;
    ground.assert_guards(&config(&[BOND, BOND_VLAN], "native"), &[DROP])?;
    assert_place(BOND, "native", "up")
}

fn a_vlan_on_a_bond_is_gated_without_a_look_up_of_sockets() -> Result<()> {
    let mut ground = ground()?;
    ground.assert_guards(&config(&[BOND], "native"), &SILENCE[1..])?;
    assert_place(BOND, "native", "up")
}

fn what_is_denied_on_a_vlan_on_a_bond_is_answered_by_the_bond() -> Result<()> {
    let mut ground = ground()?;
    ground.assert_guards(&config(&[BOND], "native"), &ANSWERS)?;
    assert_place(BOND, "native", "up")
}
