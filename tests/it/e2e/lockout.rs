//! `lockout`: who guesses is not heard for a while, and nobody else suffers for it.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Family, Host, Line, Probe, Status, TIMEOUT, knockctl, until};
use tests::story::World;

use super::assert_says;
use super::flows::FREE_PORT;
use super::flows::dnat::Container;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::lockout";
        who_guesses_is_not_heard_until_the_time_is_over,
        a_lockout_outlives_the_daemon_and_ends_by_command,
        who_holds_a_grant_or_is_trusted_is_never_locked_out,
        who_has_a_connection_is_never_locked_out,
        who_is_the_other_end_of_a_udp_socket_is_never_locked_out,
        who_has_a_flow_to_a_container_is_never_locked_out,
        who_shares_a_64_with_a_grant_is_never_locked_out,
        who_only_observes_locks_nobody_out,
    ]
}

/// The steps of the lab's door that opens, and what is no step of it but ends an attempt.
const RIGHT: [&str; 3] = ["7000/tcp", "8000/udp", "9000/tcp"];
const WRONG: [&str; 2] = ["7000/tcp", "9000/tcp"];

fn config(span: &str) -> Config {
    let options = format!("[options]\nlockout = {{ after = 3, for = \"{span}\" }}");
    Config::lab().with("[options]", &options).set("cmd_timeout", "\"60s\"")
}

/// Knocks three times in a way that ends the attempt.
fn guess(world: &World) -> Result<()> {
    (0..3).try_for_each(|_| world.knock(&WRONG, Duration::ZERO))
}

/// Who is locked out, as `status` says.
fn locked() -> Result<Vec<Value>> {
    Ok(Status::read()?.0["lockouts"].as_array().expect("a list").clone())
}

fn wait_locked(world: &World) -> Result<()> {
    until("the lockout", TIMEOUT, || (!locked().ok()?.is_empty()).then_some(()))?;
    let address = world.address(Host::Client).to_string();
    let source = locked()?[0]["source"].as_str().expect("a text").to_owned();
    match world.family {
        Family::V4 => assert_eq!(source, address),
        Family::V6 => assert!(source.ends_with("::/64"), "{source}"),
    }
    Ok(())
}

/// Guesses until it is locked out: a connection that is about to end still keeps it from that.
fn lock_out(world: &World) -> Result<()> {
    until("the lockout", TIMEOUT, || {
        guess(world).ok()?;
        (!locked().ok()?.is_empty()).then_some(())
    })
}

/// Knocks rightly. What comes of it?
fn try_to_open(world: &World) -> Result<Probe> {
    world.knock(&RIGHT, Duration::ZERO)?;
    Ok(world.connect(Host::Client)?.0)
}

fn who_guesses_is_not_heard_until_the_time_is_over() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config("4s"))?;
    for family in Family::ALL {
        world.family = family;
        let mark = world.gate()?.mark();
        guess(&world)?;
        wait_locked(&world)?;
        world.gate()?.wait_after(mark, "locked out for 4s: 3 wrong knocks")?;
        assert_eq!(try_to_open(&world)?, Probe::Silent, "{family:?}");
        let address = world.address(Host::Client).to_string();
        let explained = knockctl(Host::Server, &["explain", &address, "7000/tcp"])?;
        assert_says(&explained, 0, &["rule 6", "locked out: ", "knockctl unlock"]);
        until("the end of the lockout", TIMEOUT, || locked().ok()?.is_empty().then_some(()))?;
        assert_eq!(try_to_open(&world)?, Probe::Open, "{family:?}");
        world.revoke()?;
    }
    assert!(Status::read()?.counter("knock_locked_out") >= 2);
    Ok(())
}

fn a_lockout_outlives_the_daemon_and_ends_by_command() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config("10m"))?;
    guess(&world)?;
    wait_locked(&world)?;
    world.gate()?.kill()?;
    assert_eq!(try_to_open(&world)?, Probe::Silent);
    world.start(&config("10m"))?;
    assert_eq!(try_to_open(&world)?, Probe::Silent);
    let address = world.address(Host::Client).to_string();
    assert_says(&knockctl(Host::Server, &["unlock", &address])?, 0, &[&format!("{address}: let off")]);
    assert_says(&knockctl(Host::Server, &["unlock", &address])?, 1, &["not locked out"]);
    assert_eq!(try_to_open(&world)?, Probe::Open);
    world.revoke()?;
    // All at once, and by a grant.
    lock_out(&world)?;
    assert_says(&knockctl(Host::Server, &["unlock", "--all"])?, 0, &["let off"]);
    lock_out(&world)?;
    world.command(&["allow", &address])?;
    assert!(locked()?.is_empty());
    Ok(())
}

fn who_holds_a_grant_or_is_trusted_is_never_locked_out() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config("10m"))?;
    assert_eq!(try_to_open(&world)?, Probe::Open);
    let mark = world.gate()?.mark();
    guess(&world)?;
    world.gate()?.wait_after(mark, "3 wrong knocks, but it is not locked out: it holds a grant")?;
    assert!(locked()?.is_empty());
    drop(world);
    let address = Family::V4.address(Host::Client).to_string();
    let trusting = config("10m").with("[options]", &format!("[options]\ntrusted = [\"{address}\"]"));
    let mut world = World::guarded(Family::V4, &trusting)?;
    let mark = world.gate()?.mark();
    guess(&world)?;
    world.gate()?.wait_after(mark, "not locked out: it is trusted")?;
    assert!(locked()?.is_empty());
    Ok(())
}

fn who_shares_a_64_with_a_grant_is_never_locked_out() -> Result<()> {
    let mut world = World::guarded(Family::V6, &config("10m"))?;
    let IpAddr::V6(client) = world.address(Host::Client) else { bail!("an IPv6 address") };
    let beside = Ipv6Addr::from_bits(client.to_bits() ^ 0xff00).to_string();
    world.command(&["allow", &beside])?;
    let mark = world.gate()?.mark();
    // The daemon has to see the grant first, which a command does not tell it of.
    until("the daemon to know of the grant", TIMEOUT, || {
        guess(&world).ok()?;
        let said = world.daemon.as_ref()?.after(mark);
        said.iter().any(|line| line.contains("not locked out: somebody there holds a grant")).then_some(())
    })?;
    until("the end of a lockout before", TIMEOUT, || locked().ok()?.is_empty().then_some(()))?;
    guess(&world)?;
    assert_eq!(try_to_open(&world)?, Probe::Open);
    assert!(locked()?.is_empty());
    Ok(())
}

fn who_has_a_connection_is_never_locked_out() -> Result<()> {
    for family in Family::ALL {
        let mut world = World::guarded(Family::V4, &config("10m"))?;
        world.family = family;
        assert_eq!(try_to_open(&world)?, Probe::Open);
        world.session()?;
        world.revoke()?;
        let mark = world.gate()?.mark();
        guess(&world)?;
        world.gate()?.wait_after(mark, "not locked out: it has a connection to a service")?;
        assert!(locked()?.is_empty());
        assert_eq!(try_to_open(&world)?, Probe::Open, "{family:?}");
        world.echo()?;
    }
    Ok(())
}

/// A socket that was connected before its port was protected has no flow.
fn who_is_the_other_end_of_a_udp_socket_is_never_locked_out() -> Result<()> {
    const PORT: u16 = 5000;
    for family in Family::ALL {
        let mut world = World::new(family, None)?;
        let _socket = Line::udp_from(Host::Server, PORT, (world.address(Host::Client), PORT).into())?;
        world.start(&config("10m").with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\"]"))?;
        let mark = world.gate()?.mark();
        guess(&world)?;
        world.gate()?.wait_after(mark, "not locked out: it has a connection to a service")?;
        assert!(locked()?.is_empty());
    }
    Ok(())
}

/// No socket of this host tells of these connections.
fn who_has_a_flow_to_a_container_is_never_locked_out() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    world.start(&config("10m").with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/tcp\", \"5000/udp\"]"))?;
    for family in Family::ALL {
        world.family = family;
        let (to, client) = (world.server(FREE_PORT), world.address(Host::Client).to_string());
        for is_udp in [false, true] {
            let open = || if is_udp { Line::udp_from(Host::Client, 0, to) } else { Line::tcp(Host::Client, to) };
            let (_, mut line) = world.knock_and(open)?;
            line.echo()?;
            world.revoke()?;
            let mark = world.gate()?.mark();
            guess(&world)?;
            world.gate()?.wait_after(mark, "not locked out: it has a connection to a service")?;
            assert!(locked()?.is_empty(), "{family:?}, over UDP: {is_udp}");
            line.echo()?;
            world.command(&["revoke", &client, "--cut"])?;
        }
    }
    Ok(())
}

fn who_only_observes_locks_nobody_out() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::start_with(&config("10m"), &["--observe"])?);
    let mark = world.gate()?.mark();
    guess(&world)?;
    guess(&world)?;
    world.gate()?.wait_after(mark, "wrong knock")?;
    assert!(locked()?.is_empty());
    Ok(())
}
