//! A door that is kept open.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use tests::harness::{Test, tests};
use tests::lab::{Background, Config, Family, Host, Probe, Status, TIMEOUT, until};
use tests::story::World;

use super::super::assert_fails;
use super::{Home, gate};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::client::keep_open";
        the_door_never_closes_until_it_is_told,
        a_network_that_goes_away_is_waited_for,
        a_new_address_is_let_in_at_once,
        how_often_must_be_known,
    ]
}

/// `cmd_timeout` of the lab's door.
const WINDOW: Duration = Duration::from_secs(4);

/// It, running on the client.
fn keep_open(home: &Home, args: &[&str]) -> Result<Background> {
    let mut command = home.command(&["myserver", "--keep-open"])?;
    command.args(args);
    Background::start(Host::Client, command, None)
}

fn is_granted(source: &str) -> Option<()> {
    let status = Status::read().ok()?;
    status.grants().iter().any(|grant| grant["source"] == source).then_some(())
}

fn the_door_never_closes_until_it_is_told() -> Result<()> {
    for (family, signal) in [(Family::V4, Signal::SIGINT), (Family::V6, Signal::SIGTERM)] {
        let world = World::guarded(family, &Config::lab())?;
        let home = Home::of(&world, &format!("open_for = \"{}s\"", WINDOW.as_secs()))?;
        let mut keeper = keep_open(&home, &[])?;
        let source = world.address(Host::Client).to_string();
        until("the first knock", TIMEOUT, || is_granted(&source))?;
        // Three windows long.
        let start = Instant::now();
        while start.elapsed() < WINDOW * 3 {
            assert_eq!(world.connect(Host::Client)?.0, Probe::Open, "after {:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
        keeper.signal(signal)?;
        assert_eq!(keeper.wait(TIMEOUT)?.code(), Some(0), "{signal}");
        // It has said what it does, and nothing else.
        let said = keeper.lines.after(0);
        assert!(matches!(&said[..], [line] if line.contains("knocks now, and again every 3s")), "{said:?}");
        // Nobody knocks any more.
        let closed = || matches!(world.connect(Host::Client), Ok((Probe::Silent, _))).then_some(());
        until("the end of the window", WINDOW + TIMEOUT, closed)?;
    }
    Ok(())
}

fn a_network_that_goes_away_is_waited_for() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::of(&world, "")?;
    Host::Client.must(&["ip", "route", "add", "unreachable", "192.0.2.1/32"])?;
    let mut keeper = keep_open(&home, &["--every", "50s"])?;
    keeper.lines.wait_after(0, "no address could be knocked", TIMEOUT)?;
    Host::Client.must(&["ip", "route", "del", "unreachable", "192.0.2.1/32"])?;
    // Long before 50 s are over, and it is said.
    until("the knock on the network that is back", TIMEOUT, || is_granted("192.0.2.2"))?;
    keeper.lines.wait_after(0, "knocked again", TIMEOUT)?;
    assert!(keeper.runs());
    // The same complaint is made once.
    let complaints = keeper.lines.after(0).iter().filter(|line| line.contains("no address could be knocked")).count();
    assert_eq!(complaints, 1, "{:?}", keeper.lines.after(0));
    Ok(())
}

fn a_new_address_is_let_in_at_once() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        let _keeper = keep_open(&home, &["--every", "1h"])?;
        until("the first knock", TIMEOUT, || is_granted(&world.address(Host::Client).to_string()))?;
        let (other, length) = if family == Family::V4 { ("192.0.2.77", 32) } else { ("2001:db8:1::77", 128) };
        let server = format!("{}/{length}", world.address(Host::Server));
        Host::Client.must(&["ip", "addr", "add", &format!("{other}/{length}"), "dev", "eth0", "nodad"])?;
        Host::Client.must(&["ip", "route", "add", &server, "dev", "eth0", "src", other])?;
        until("the knock from the new address", TIMEOUT, || is_granted(other))?;
    }
    Ok(())
}

fn how_often_must_be_known() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::of(&world, "")?;
    assert_fails(&home.knock(&["myserver", "--keep-open"])?, &["how often", "--every 50s", "open_for"]);
    Ok(())
}
