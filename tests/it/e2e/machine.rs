//! The machine of the lab: a real systemd boots, in the lab's network, and leaves nothing behind.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Lab, Machine, MachineRoot, PATIENCE, Probe, connect};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::machine";
        a_machine_boots_on_the_labs_network,
        a_machine_leaves_nothing_behind,
    ]
}

const GREETER: &str = "[Service]\nExecStart=/usr/bin/python3 -m http.server 8080\n";

fn a_machine_boots_on_the_labs_network() -> Result<()> {
    let _lab = Lab::new()?;
    let root = MachineRoot::of_host()?;
    fs::write(root.path().join("etc/systemd/system/greeter.service"), GREETER)?;
    root.enable("greeter.service", "multi-user.target")?;
    let machine = Machine::boot(Host::Server, root)?;
    machine.wait_for("multi-user.target")?;
    machine.wait_for("greeter.service")?;
    let server = (Family::V4.address(Host::Server), 8080).into();
    let probe = tests::lab::until("the greeter", tests::lab::TIMEOUT, || {
        let probe = connect(Host::Client, server, PATIENCE).ok()?.0;
        (probe != Probe::Refused).then_some(probe)
    })?;
    assert_eq!(probe, Probe::Open);
    assert!(machine.journal("greeter.service")?.contains("greeter.service"), "{}", machine.journal("greeter.service")?);
    // Nothing that the host has enabled runs in it, and it cannot change the kernel's variables.
    assert_eq!(machine.property("ssh.service", "ActiveState")?, "inactive");
    assert_ne!(machine.run(&["sysctl", "-w", "kernel.panic=1"])?.code, 0);
    assert_eq!(machine.must(&["systemctl", "--failed", "--plain", "--no-legend"])?, "");
    Ok(())
}

fn a_machine_leaves_nothing_behind() -> Result<()> {
    let _lab = Lab::new()?;
    let mounts = || fs::read_to_string("/proc/self/mountinfo");
    let before = mounts()?;
    for _ in 0..2 {
        let root = MachineRoot::of_host()?;
        fs::write(root.path().join("etc/knock-was-here"), "")?;
        let machine = Machine::boot(Host::Server, root)?;
        let init = machine.init();
        assert!(Path::new(&format!("/proc/{init}")).exists());
        drop(machine);
        assert!(!Path::new(&format!("/proc/{init}")).exists());
        assert!(!Path::new("/etc/knock-was-here").exists());
        assert_eq!(mounts()?, before);
    }
    Ok(())
}
