//! Pins that somebody removes by hand, and a BPF file system that is unmounted.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use knock_common::abi::grant::{Grant, GrantKey};
use nix::mount::{MntFlags, umount2};
use tests::harness::{Test, tests};
use tests::lab::{
    Config, Daemon, Family, Host, Mark, Mount, PINS, Probe, SERVER_INTERFACES, Session, Status, TIMEOUT, knockctl,
    until,
};
use tests::story::World;

use super::{KEPT, unload};
use crate::e2e::assert_fails;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::removed";
        a_pin_that_is_removed_is_put_back_with_its_grants,
        a_pin_with_something_else_in_its_place_is_put_right,
        a_reload_behind_a_removed_pin_keeps_the_grants,
        a_link_that_is_removed_is_put_back,
        pins_that_are_removed_altogether_are_put_back,
        an_unmounted_bpffs_is_mounted_again,
        a_pin_removed_without_a_daemon_is_made_up_for_by_the_next,
    ]
}

/// A gate with a daemon, a session without a grant, and a grant to be kept.
fn gate(mark: Mark) -> Result<(World, Session)> {
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::start(&mark.on(Config::lab()), None)?);
    world.knock_open()?;
    let session = Session::open(world.family)?;
    world.revoke()?;
    world.command(&["allow", KEPT])?;
    Ok((world, session))
}

/// Waits until all is as before, with the grants; and a knock opens.
fn is_whole(world: &World, session: &mut Session) -> Result<()> {
    let said = || format!("{:?}", world.daemon.as_ref().map(|daemon| daemon.after(0)));
    until("the gate and its pins", TIMEOUT, || {
        let whole = Status::read().is_ok_and(|status| KEPT.parse().is_ok_and(|kept| status.grants_of(kept).len() == 1));
        let linked = SERVER_INTERFACES.iter().all(|name| Path::new(PINS).join("links").join(name).exists());
        (whole && linked && world.connect(Host::Client).ok()?.0 == Probe::Silent).then_some(())
    })
    .with_context(said)?;
    world.knock_open()?;
    world.must_open(Host::Client).with_context(said)?;
    world.revoke()?;
    session.echo().with_context(said)?;
    Ok(())
}

fn a_pin_that_is_removed_is_put_back_with_its_grants() -> Result<()> {
    let mark = Mark::new();
    let (world, mut session) = gate(mark)?;
    let state = &["LAYOUT", "GRANTS", "ATTEMPTS", "SPENT", "LOCKED", "WATCH", "COUNTERS", "TOKENS", "EVENTS"][..];
    let rules = &["rules/DOORS", "rules/SERVICES", "rules/PORTS", "rules/TOLD"][..];
    let daemon = world.daemon.as_ref().context("it was started")?;
    for pins in [state, rules] {
        let mark = daemon.mark();
        pins.iter().try_for_each(|pin| fs::remove_file(Path::new(PINS).join(pin)))?;
        // Nobody noticed it on the wire.
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{pins:?}");
        for pin in pins {
            daemon.wait_after(mark, &format!("{PINS}/{pin}: SOMEBODY REMOVED THIS PIN"))?;
            assert!(Path::new(PINS).join(pin).exists(), "{pin}");
        }
    }
    is_whole(&world, &mut session)?;
    world.command(&["reload"])?;
    is_whole(&world, &mut session)?;
    mark.wait_for(1)?;
    unload(&world)?;
    mark.wait_for(0)
}

fn a_pin_with_something_else_in_its_place_is_put_right() -> Result<()> {
    let mark = Mark::new();
    let (world, mut session) = gate(mark)?;
    let daemon = world.daemon.as_ref().context("it was started")?;
    let (pin, other) = (Path::new(PINS).join("GRANTS"), Path::new(PINS).join("OTHER"));
    let size = mark.0.to_string();
    let path = other.to_str().context("it is text")?;
    let [key, value] = [size_of::<GrantKey>(), size_of::<Grant>()].map(|octets| octets.to_string());
    let map = ["map", "create", path, "type", "hash", "key", &key, "value", &value, "entries", &size, "name", "OTHER"];
    Host::Server.must(&[&["bpftool"][..], &map].concat())?;
    daemon.while_stopped(|| {
        fs::rename(&other, &pin)?;
        assert!(Status::read()?.grants().is_empty(), "the commands look at the pin");
        Ok(())
    })?;
    daemon.wait_after(0, &format!("{PINS}/GRANTS: SOMEBODY PUT SOMETHING ELSE IN THE PLACE OF THIS PIN"))?;
    is_whole(&world, &mut session)?;
    unload(&world)?;
    mark.wait_for(0)
}

fn a_reload_behind_a_removed_pin_keeps_the_grants() -> Result<()> {
    let mark = Mark::new();
    let (world, mut session) = gate(mark)?;
    // With a standby program and without one, which is loaded only a while later.
    for pin in ["GRANTS", "SPENT", "GRANTS"] {
        fs::remove_file(Path::new(PINS).join(pin))?;
        world.command(&["reload"])?;
        is_whole(&world, &mut session).context(pin)?;
    }
    unload(&world)?;
    mark.wait_for(0)
}

fn a_link_that_is_removed_is_put_back() -> Result<()> {
    let (world, mut session) = gate(Mark::new())?;
    for interface in SERVER_INTERFACES {
        fs::remove_file(Path::new(PINS).join("links").join(interface))?;
        is_whole(&world, &mut session)?;
    }
    unload(&world)
}

fn pins_that_are_removed_altogether_are_put_back() -> Result<()> {
    let mark = Mark::new();
    let (world, mut session) = gate(mark)?;
    fs::remove_dir_all(PINS)?;
    is_whole(&world, &mut session)?;
    world.command(&["reload"])?;
    is_whole(&world, &mut session)?;
    unload(&world)?;
    mark.wait_for(0)
}

fn an_unmounted_bpffs_is_mounted_again() -> Result<()> {
    let mark = Mark::new();
    let (world, mut session) = gate(mark)?;
    umount2("/sys/fs/bpf", MntFlags::MNT_DETACH)?;
    // Below it is that of the sandbox.
    let none = Mount::new("tmpfs", "/sys/fs/bpf")?;
    let daemon = world.daemon.as_ref().context("it was started")?;
    // The daemon has given up the right to mount, and says what to do.
    let said = daemon.wait_after(0, "THE PINS ARE GONE")?;
    let remedy = said.split('`').nth(1).context("no remedy")?;
    assert_eq!(remedy, "mount -t bpf -o mode=700,nosuid,nodev,noexec bpf /sys/fs/bpf", "{said}");
    let said_before = daemon.after(0).iter().filter(|line| line.contains("THE PINS ARE GONE")).count();
    drop(none);
    Host::Server.must(&["sh", "-c", remedy])?;
    is_whole(&world, &mut session)?;
    assert_eq!(said_before, 1, "{:?}", daemon.after(0));
    unload(&world)?;
    mark.wait_for(0)
}

fn a_pin_removed_without_a_daemon_is_made_up_for_by_the_next() -> Result<()> {
    let mark = Mark::new();
    let config = mark.on(Config::lab());
    for pin in ["LAYOUT", "GRANTS", "ATTEMPTS", "EVENTS", "rules/DOORS", "rules/PROGRAM", "rules", "links/eth1"] {
        let mut world = World::new(Family::V4, None)?;
        Daemon::start(&config, None)?.kill()?;
        world.command(&["allow", KEPT])?;
        let path = Path::new(PINS).join(pin);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.context(pin)?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{pin}");
        if pin == "GRANTS" {
            assert_fails(&knockctl(Host::Server, &["allow", KEPT])?, &["GRANTS", "the gate still stands"]);
        }
        world.daemon = Some(Daemon::start(&config, None)?);
        assert_eq!(world.connect(Host::Stranger)?.0, Probe::Silent, "{pin}");
        // Those of a table that nobody can reach any more have ended.
        assert_eq!(Status::read()?.grants().len(), usize::from(pin != "GRANTS"), "{pin}");
        world.knock_open()?;
        world.must_open(Host::Client).context(pin)?;
        unload(&world)?;
        mark.wait_for(0).context(pin)?;
    }
    Ok(())
}
