//! The Debian package where the config has mistakes: it says so, and changes nothing.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Host, PINS, Probe};

use crate::debian::{CONFIG, Debian, Package, UNIT, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["package::broken"; a_broken_config_is_told_and_nothing_is_half_done]
}

fn a_broken_config_is_told_and_nothing_is_half_done() -> Result<()> {
    let debian = Debian::boot()?;
    let broken =
        config().with("service = \"ssh2\"\nsequence = [\"7000/tcp\"", "service = \"ssh3\"\nsequence = [\"7000/tcp\"");
    // At the installation.
    debian.must("mkdir -m 700 /etc/knock")?;
    debian.configure(&broken)?;
    let said = debian.install(Package::Deb)?;
    assert!(said.contains("has mistakes") && said.contains("ssh3") && said.contains(&format!("{CONFIG}:")), "{said}");
    assert!(!said.contains("7000"), "the sequence is secret: {said}");
    assert!(!debian.has(PINS)?);
    assert_eq!((debian.active()?.as_str(), debian.port(Host::Stranger)?), ("inactive", Probe::Open));
    // Mended.
    debian.configure(&config())?;
    debian.must(&format!("systemctl start {UNIT}"))?;
    debian.gates()?;
    // At an upgrade: the old program goes on with the rules that it has.
    debian.configure(&broken)?;
    let pid = debian.pid()?;
    let said = debian.install(Package::Next)?;
    assert!(said.contains("has mistakes") && said.contains("the old version goes on"), "{said}");
    assert_eq!((debian.active()?, debian.pid()?), ("active".to_owned(), pid));
    debian.world.knock_open()?;
    assert_eq!((debian.port(Host::Client)?, debian.port(Host::Stranger)?), (Probe::Open, Probe::Silent));
    Ok(())
}
