//! A VLAN with the gate on the device below, or with the gate on the VLAN itself.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::devices::{VLAN, WIRES, vlan};
use tests::lab::{Config, Host, Probe, knockctl, setting};

use super::super::links::assert_place;
use super::super::{assert_fails, assert_says};
use super::{ANSWERS, DROP, Ground, REJECT, SILENCE, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::devices::vlan";
        a_vlan_is_gated_below_where_the_card_takes_the_tag_off,
        check_warns_of_a_card_that_takes_the_tag_off,
        a_vlan_is_gated_by_itself,
        a_knock_with_an_open_checksum_is_heard_over_a_vlan,
    ]
}

/// A VLAN over the lab's own wire.
fn ground() -> Result<Ground> {
    Ground::over(VLAN, 1, || vlan(VLAN, WIRES[0]))
}

/// Then the answer to a denied packet goes out without a tag, and one over link-local addresses is not heard in the VLAN.
fn a_vlan_is_gated_below_where_the_card_takes_the_tag_off() -> Result<()> {
    let mut ground = ground()?;
    // Other answers are heard all the same, by a client that takes its addresses for those of the whole host.
    for name in ["all", WIRES[0]] {
        setting(Host::Client, &format!("net/ipv4/conf/{name}/rp_filter"), "0")?;
    }
    let config = config(&WIRES[..1], "native");
    ground.assert_guards(&config, &SILENCE)?;
    ground.denied_on_link = Some(Probe::Silent);
    ground.assert_guards(&config, &ANSWERS)
}

fn check_warns_of_a_card_that_takes_the_tag_off() -> Result<()> {
    let _ground = ground()?;
    let checked = |config: Config| {
        let file = config.write("gate.toml")?.display().to_string();
        knockctl(Host::Server, &["check", "--loads", &file])?.success()
    };
    let config = config(&WIRES[..1], "native");
    let warning = format!("options.deny: {}: the tag of a VLAN is taken off before the gate", WIRES[0]);
    let said = checked(REJECT.of(config.clone()))?;
    assert!(said.contains(&warning) && said.contains(&format!("ethtool -K {} rxvlan off", WIRES[0])), "{said}");
    let said = checked(DROP.of(config.clone()))?;
    assert!(!said.contains(&warning), "nothing is answered: {said}");
    Host::Server.must(&["ethtool", "-K", WIRES[0], "rxvlan", "off"])?;
    let said = checked(REJECT.of(config))?;
    assert!(!said.contains(&warning), "{said}");
    Ok(())
}

fn a_vlan_is_gated_by_itself() -> Result<()> {
    let mut ground = ground()?;
    let file = config(&[VLAN], "native").write("gate.toml")?.display().to_string();
    let words = [VLAN, "name eth0, on which it lies"];
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
    let config = config(&[VLAN], "auto");
    let file = config.write("gate.toml")?.display().to_string();
    let remark = format!("a VLAN on {0}: name {0} in options.interfaces", WIRES[0]);
    assert_says(&knockctl(Host::Server, &["check", "--loads", &file])?, 0, &[&remark]);
    ground.assert_guards(&config, &[SILENCE, ANSWERS].concat())?;
    assert_place(VLAN, "generic", "up")
}

/// As those of a host on the other end of a veth pair are.
fn a_knock_with_an_open_checksum_is_heard_over_a_vlan() -> Result<()> {
    let mut ground = ground()?;
    let config = config(&[VLAN], "auto").with("verify_checksums = false\n", "");
    ground.assert_guards(&config, &[DROP])
}
